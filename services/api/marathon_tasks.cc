// /v2/tasks and /v2/apps/{id}/tasks: what runs, and ending it.
#include <algorithm>

#include "core/marathon/app_json.h"
#include "core/marathon/path_id.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/marathon_deploy.h"
#include "services/api/marathon_json.h"
#include "services/api/marathon_request.h"
#include "storage/state/limits.h"

namespace smackd::services::handlers {

using core::Action;
using core::Json;
using core::Result;
using marathon::Checked;
using marathon::Problem;
using net::http::Response;

namespace {

constexpr size_t kKillsPerRequestMax = 200;

/// Tasks that run or are about to, of apps that the caller sees and whose ids begin with `prefix`.
std::vector<const wire::Task*> tasks_below(const Call& call, const AppsModel& model,
                                           const std::string& prefix) {
    std::vector<const wire::Task*> tasks;
    for (const auto& [id, row] : model.tasks) {
        const wire::Task& task = row.put;
        if (!task.app_id().starts_with(prefix) || apps::has_ended(task)) continue;
        if (call.may(Action::kView, task.app_id())) tasks.push_back(&task);
    }
    return tasks;
}

/// The same of one app.
std::vector<const wire::Task*> tasks_of(const Call& call, const AppsModel& model, const std::string& app) {
    return call.may(Action::kView, app) ? model.living_tasks_of(app) : std::vector<const wire::Task*>();
}

Json tasks_json(const AppsModel& model, const std::vector<const wire::Task*>& tasks,
                bool with_service_ports = false) {
    Json list = Json::array();
    for (const wire::Task* task : tasks) list.push(task_json(model, *task, with_service_ports));
    return list;
}

/// A line each port of an app: what old HAProxy bridges read.
Response text_list(const Call& call, const AppsModel& model) {
    std::string text;
    for (const auto& [id, row] : model.apps) {
        if (call.may(Action::kView, id)) text += marathon::tasks_as_text(row.put, model.living_tasks_of(id));
    }
    Response response;
    response.status = 200;
    response.headers.add("Content-Type", "text/plain; charset=utf-8");
    response.headers.add("Cache-Control", "no-store");
    response.body = std::move(text);
    return response;
}

/// What a kill does to its app besides.
struct KillOptions {
    bool scale = false;
    bool wipe = false;
    bool force = false;
};

Result<KillOptions> kill_options(const Call& call) {
    const KillOptions options{query_says(call.request, "scale"), query_says(call.request, "wipe"),
                              query_says(call.request, "force")};
    if (options.scale && options.wipe)
        return core::fail(core::Errc::kInvalid, "scale and wipe cannot be used together");
    return options;
}

void add_kill(wire::Command& command, const AppsModel& model, const wire::Task& task,
              const KillOptions& options) {
    wire::Task* kill = command.add_changes()->mutable_put_task()->mutable_task();
    *kill = task;
    kill->set_desired(wire::Task::KILL);
    kill->set_kill_reason("killed by a user");
    kill->set_wipe(options.wipe);
    const auto app = model.apps.find(task.app_id());
    const bool given = app != model.apps.end() && app->second.put.has_kill_grace_ms();
    kill->set_kill_grace_ms(given ? app->second.put.kill_grace_ms() : 3000);
}

/// Ends tasks; with `scale` their apps want as many fewer.
net::Task<Result<Response>> kill(Call& call, std::vector<std::string> ids, KillOptions options, Json answer) {
    if (ids.size() > kKillsPerRequestMax)
        co_return core::fail(core::Errc::kInvalid, "ids: {} tasks, the limit is {}", ids.size(),
                             kKillsPerRequestMax);
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    wire::Command command = make_command(call);
    command.set_feature_level(storage::state::kLevelOfApps);
    std::map<std::string, uint32_t> by_app;
    for (const std::string& id : ids) {
        const auto found = model->tasks.find(id);
        if (found == model->tasks.end()) continue;
        const std::string& app = found->second.put.app_id();
        CO_TRY(call.require(Action::kKill, app));
        // Asked before anything is ended: a refusal leaves all as it was.
        if (options.scale) CO_TRY(call.require(Action::kChange, app));
        add_kill(command, *model, found->second.put, options);
        ++by_app[app];
    }
    if (command.changes().empty()) co_return marathon_reply(200, answer);
    CO_TRY(co_await change(call, std::move(command), {.kind = "task", .key = ids.front()}));
    if (!options.scale) co_return marathon_reply(200, answer);
    AppsEdit edit = [&](const AppsModel&, WantedApps& wanted) -> Checked<void> {
        for (const auto& [id, killed] : by_app) {
            const auto app = wanted.apps.find(id);
            if (app == wanted.apps.end()) continue;
            app->second.set_instances(app->second.instances() - std::min(killed, app->second.instances()));
        }
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), options.force);
    if (!deployed) co_return std::move(deployed.error());
    co_return marathon_reply(200, deployment_result_json(deployed->version_ms, deployed->deployment));
}

}  // namespace

Answer list_tasks(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (call.request.headers.get("Accept").starts_with("text/plain")) co_return text_list(call, *model);
    std::vector<std::string_view> states;
    for (const auto& [name, value] : call.request.target.query) {
        if (name == "status" || name == "status[]") states.push_back(value);
    }
    auto tasks = tasks_below(call, *model, "/");
    if (!states.empty()) {
        std::erase_if(tasks, [&](const wire::Task* task) {
            const bool running = task->status().state() == wire::TASK_RUNNING;
            return !std::ranges::contains(
                states, running ? std::string_view("running") : std::string_view("staging"));
        });
    }
    co_return marathon_reply(200, Json::object().set("tasks", tasks_json(*model, tasks, true)));
}

Answer list_app_tasks(Call& call) {
    const auto [id, below] = AppsInPath::of(call.argument());
    CO_TRY(co_await await_freshness(call));
    if (!below) CO_TRY(call.require(Action::kView, id));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!below && !model->apps.contains(id))
        co_return problem_reply(Problem::of(404, std::format("App '{}' does not exist", id)));
    const auto tasks =
        below ? tasks_below(call, *model, id == "/" ? id : id + "/") : tasks_of(call, *model, id);
    co_return marathon_reply(200, Json::object().set("tasks", tasks_json(*model, tasks)));
}

Answer kill_app_tasks(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kKill, id));
    auto options = kill_options(call);
    if (!options) co_return problem_reply(Problem::of(400, options.error().message));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!model->apps.contains(id))
        co_return problem_reply(Problem::of(404, std::format("App '{}' does not exist", id)));
    const auto host = call.request.query("host");
    std::vector<const wire::Task*> killed;
    std::vector<std::string> ids;
    for (const wire::Task* task : tasks_of(call, *model, id)) {
        if (host && *host != "*" && *host != task->machine()) continue;
        killed.push_back(task);
        ids.push_back(task->id());
    }
    Json answer = Json::object().set("tasks", tasks_json(*model, killed));
    co_return co_await kill(call, std::move(ids), *options, std::move(answer));
}

Answer kill_app_task(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kKill, id));
    auto options = kill_options(call);
    if (!options) co_return problem_reply(Problem::of(400, options.error().message));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const auto task = model->tasks.find(call.argument(1));
    if (!model->apps.contains(id))
        co_return problem_reply(Problem::of(404, std::format("App '{}' does not exist", id)));
    if (task == model->tasks.end() || task->second.put.app_id() != id)
        co_return problem_reply(
            Problem::of(404, std::format("Task '{}' does not exist", call.argument(1).substr(0, 255))));
    Json answer = Json::object().set("task", task_json(*model, task->second.put));
    std::vector<std::string> ids{call.argument(1)};
    co_return co_await kill(call, std::move(ids), *options, std::move(answer));
}

Answer delete_tasks(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kKill));
    CO_TRY(co_await read_json_text(call));
    auto body = marathon::parse_body(call.body);
    if (!body) co_return problem_reply(body.error());
    auto options = kill_options(call);
    if (!options) co_return problem_reply(Problem::of(400, options.error().message));
    const Json* wanted = body->find("ids");
    if (wanted == nullptr || !wanted->is_array())
        co_return problem_reply(Problem::of(400, "Invalid JSON: ids must be an array of task ids"));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    std::vector<std::string> ids;
    std::vector<const wire::Task*> killed;
    for (const Json& id : wanted->as_array()) {
        if (!id.is_string() || !marathon::app_of_task(id.as_string()))
            co_return problem_reply(
                Problem::of(400, std::format("Invalid task id '{}'", id.as_string().substr(0, 255))));
        const auto found = model->tasks.find(id.as_string());
        if (found == model->tasks.end() || !call.may(Action::kView, found->second.put.app_id())) continue;
        ids.push_back(id.as_string());
        killed.push_back(&found->second.put);
    }
    Json answer = Json::object().set("tasks", tasks_json(*model, killed));
    co_return co_await kill(call, std::move(ids), *options, std::move(answer));
}

}  // namespace smackd::services::handlers
