// smackd app ...: applications in Marathon's JSON.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <format>
#include <map>

#include "cmd/smackd/commands/app_files.h"
#include "cmd/smackd/commands/app_plan.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "net/http/message.h"

namespace smackd::cmd {
namespace {

using core::Json;

constexpr useconds_t kProgressLookUs = 200'000;
constexpr int kWaitDefaultS = 300;
constexpr int64_t kLastWordsBytes = 500;

const Positional kId{"ID", "the application's id, as /group/app"};
const Positional kFile{"FILE", "its definition in JSON; - is standard input"};
const Option kForce{"--force", "", "although a deployment of the app is running: that one is cancelled"};
const Option kDetach{"--detach", "", "does not wait until the change is done"};
const Option kWait{"--timeout", "SECONDS", "how long to wait for it (300)"};

std::string path_of(const std::string& id) {
    const bool absolute = id.starts_with('/');
    return "/v2/apps/" + net::http::percent_encode(absolute ? id.substr(1) : id);
}

std::string with_force(const Context& context, std::string target) {
    if (context.arguments.has("--force"))
        target += (target.contains('?') ? "&" : "?") + std::string("force=true");
    return target;
}

/// "2/3" and what the tasks are at.
std::string progress_of(const Json& app) {
    const int64_t wanted = app["instances"].as_integer();
    const int64_t running = app["tasksRunning"].as_integer();
    const int64_t staged = app["tasksStaged"].as_integer();
    std::string text = std::format("{} of {} running", running, wanted);
    if (staged > 0) text += std::format(", {} starting", staged);
    if (!app["healthChecks"].as_array().empty())
        text += std::format(", {} healthy", app["tasksHealthy"].as_integer());
    return text;
}

/// What it waits for; with one node also what that one lacks. Empty when it does not wait.
std::string why_waiting(ApiClient& client, const std::string& id) {
    auto queue = client.get("/v2/queue");
    if (!queue) return {};
    for (const Json& item : (*queue)["queue"].as_array()) {
        if (item["app"]["id"].as_string() != id) continue;
        const auto& nodes = item["nodes"].as_array();
        const std::string lacks = nodes.size() == 1 ? nodes.front()["text"].as_string() : "";
        return item["reason"].as_string() + (lacks.empty() ? "" : std::format(" ({})", lacks));
    }
    return {};
}

std::string last_failure(const Json& app) {
    const Json& failure = app["lastTaskFailure"];
    return failure.is_object() ? failure["message"].as_string() : std::string();
}

/// The last line that the task which failed last wrote to its standard error, and how to read the rest; empty
/// when it wrote nothing, as one that never ran.
std::string last_words(ApiClient& client, const Json& app) {
    const std::string& task = app["lastTaskFailure"]["taskId"].as_string();
    if (task.empty()) return {};
    const std::string base =
        std::format("/smack/v1/tasks/{}/log/stderr?offset=", net::http::percent_encode(task));
    auto piece = client.get(base + "0");
    if (piece && (*piece)["end"].as_integer() > kLastWordsBytes)
        piece = client.get(base + std::to_string((*piece)["end"].as_integer() - kLastWordsBytes));
    if (!piece) return {};
    std::string_view text = (*piece)["text"].as_string();
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (text.empty()) return {};
    std::string line(text.substr(text.rfind('\n') + 1));
    std::ranges::replace_if(line, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, ' ');
    return std::format("it wrote last: {} (all of it: smackd task log --stderr {})", line,
                       app["id"].as_string());
}

bool is_running(const Json& deployments, const std::string& id) {
    return std::ranges::any_of(deployments.as_array(),
                               [&](const Json& one) { return one["id"].as_string() == id; });
}

/// Until the deployment is done; says on the way how far it is.
core::Result<void> await_deployment(Context& context, ApiClient& client, const std::string& app,
                                    const std::string& deployment) {
    if (context.arguments.has("--detach") || deployment.empty()) return {};
    int64_t limit_s = kWaitDefaultS;
    if (context.arguments.has("--timeout"))
        limit_s = std::max<int64_t>(1, std::atoll(context.arguments.value("--timeout").c_str()));
    std::string told;
    for (int64_t waited_us = 0; waited_us < limit_s * 1'000'000; waited_us += kProgressLookUs) {
        TRY_ASSIGN(const Json deployments, client.get("/v2/deployments"));
        if (!is_running(deployments, deployment)) return {};
        if (waited_us > 1'000'000) {
            auto shown = client.get(path_of(app));
            std::string now = shown ? progress_of((*shown)["app"]) : std::string();
            const std::string why = why_waiting(client, app);
            if (!now.empty() && !why.empty()) now += "; " + why;
            if (!now.empty() && now != told) context.output.say(std::format("{}: {}", app, now));
            told = now;
        }
        ::usleep(kProgressLookUs);
    }
    auto shown = client.get(path_of(app));
    std::string why = why_waiting(client, app);
    if (why.empty() && shown) why = last_failure((*shown)["app"]);
    const std::string hint = shown ? last_words(client, (*shown)["app"]) : std::string();
    return core::fail(core::Errc::kTimeout, "{}: not done after {} s{}{}{}{}; it goes on: smackd app show {}",
                      app, limit_s, why.empty() ? "" : ": ", why, hint.empty() ? "" : "; ", hint, app);
}

core::Result<void> finish(Context& context, ApiClient& client, const std::string& app, const Json& answer,
                          std::string_view done) {
    std::string deployment = answer["deploymentId"].as_string();
    if (deployment.empty() && !answer["deployments"].as_array().empty())
        deployment = answer["deployments"].as_array().front()["id"].as_string();
    for (const Json& warning : answer["warnings"].as_array())
        context.output.say(std::format("note: {}", warning.as_string()));
    TRY(await_deployment(context, client, app, deployment));
    context.output.say(std::format("{} {}.", done, app));
    context.output.document(answer);
    return {};
}

core::Result<void> app_add(Context& context) {
    TRY_ASSIGN(Json definition, read_definition(context.arguments.value("FILE")));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer,
               client->call("POST", with_force(context, "/v2/apps"), std::move(definition)));
    return finish(context, *client, answer["id"].as_string(), answer, "Added");
}

core::Result<void> app_update(Context& context) {
    TRY_ASSIGN(Json definition, read_definition(context.arguments.value("FILE")));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    TRY_ASSIGN(const Json answer,
               client->call("PUT", with_force(context, path_of(id)), std::move(definition)));
    return finish(context, *client, id, answer, "Changed");
}

core::Result<void> app_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get("/v2/apps"));
    Json rows = Json::array();
    for (const Json& app : answer["apps"].as_array()) {
        Json row = app;
        row.set("state", app["deployments"].as_array().empty() ? "" : "deploying");
        row.set("tasks",
                std::format("{}/{}", app["tasksRunning"].as_integer(), app["instances"].as_integer()));
        const Json& image = app["container"]["docker"]["image"];
        row.set("what", image.is_string() ? image.as_string() : app["cmd"].as_string().substr(0, 60));
        rows.push(std::move(row));
    }
    context.output.table("apps", rows,
                         {{"ID", "id"},
                          {"TASKS", "tasks"},
                          {"CPUS", "cpus"},
                          {"MEM", "mem"},
                          {"STATE", "state"},
                          {"WHAT", "what"}},
                         "No apps.");
    return {};
}

core::Result<void> app_show(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    TRY_ASSIGN(const Json answer, client->get(path_of(id)));
    if (context.output.json()) {
        context.output.document(answer["app"]);
    } else {
        print(answer["app"].dump_pretty() + "\n");
    }
    return {};
}

core::Result<void> app_scale(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    const std::string text = context.arguments.value("INSTANCES");
    if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
        return context.usage(std::format("INSTANCES '{}': must be a whole number", text));
    Json body;
    body.set("instances", static_cast<int64_t>(std::atoll(text.c_str())));
    TRY_ASSIGN(const Json answer, client->call("PUT", with_force(context, path_of(id)), std::move(body)));
    return finish(context, *client, id, answer, "Scaled");
}

core::Result<void> app_restart(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    TRY_ASSIGN(const Json answer,
               client->call("POST", with_force(context, path_of(id) + "/restart"), Json::object()));
    return finish(context, *client, id, answer, "Restarted");
}

core::Result<void> app_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    TRY_ASSIGN(const Json answer, client->call("DELETE", path_of(id), std::nullopt));
    return finish(context, *client, id, answer, "Removed");
}

core::Result<void> app_versions(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get(path_of(context.arguments.value("ID")) + "/versions"));
    Json rows = Json::array();
    for (const Json& version : answer["versions"].as_array())
        rows.push(Json::object().set("version", version));
    context.output.table("versions", rows, {{"VERSION", "version"}}, "No versions.");
    return {};
}

core::Result<void> app_rollback(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    Json body;
    body.set("version", context.arguments.value("VERSION"));
    TRY_ASSIGN(const Json answer, client->call("PUT", with_force(context, path_of(id)), std::move(body)));
    return finish(context, *client, id, answer, "Rolled back");
}

core::Result<void> app_explain(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("ID");
    const std::string absolute = id.starts_with('/') ? id : "/" + id;
    TRY_ASSIGN(const Json shown, client->get(path_of(id)));
    TRY_ASSIGN(const Json queue, client->get("/v2/queue"));
    context.output.say(std::format("{}: {}", absolute, progress_of(shown["app"])));
    if (const std::string failure = last_failure(shown["app"]); !failure.empty())
        context.output.say("last failure: " + failure);
    if (const std::string words = last_words(*client, shown["app"]); !words.empty())
        context.output.say(words);
    for (const Json& item : queue["queue"].as_array()) {
        if (item["app"]["id"].as_string() != absolute) continue;
        context.output.say(
            std::format("waiting for {} more: {}", item["count"].as_integer(), item["reason"].as_string()));
        if (!context.output.json()) {
            context.output.table("nodes", item["nodes"],
                                 {{"NODE", "host"}, {"REASON", "reason"}, {"", "text"}}, "");
        }
        context.output.document(item);
        return {};
    }
    context.output.document(Json::object().set("waiting", false));
    return {};
}

core::Result<void> deployment_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get("/v2/deployments"));
    context.output.table("deployments", answer,
                         {{"ID", "id"},
                          {"APPS", "affectedApps"},
                          {"STEP", "currentStep"},
                          {"OF", "totalSteps"},
                          {"VERSION", "version"}},
                         "No deployments are running.");
    return {};
}

core::Result<void> deployment_cancel(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string id = context.arguments.value("DEPLOYMENT");
    const bool keep = context.arguments.has("--keep");
    TRY(client->call_raw("DELETE",
                         "/v2/deployments/" + net::http::percent_encode(id) + (keep ? "?force=true" : ""),
                         std::nullopt));
    context.output.say(keep ? "Cancelled; the apps stay as they are wanted now." : "Rolling back.");
    context.output.document(Json::object().set("cancelled", id));
    return {};
}

std::vector<Option> changing() {
    return with_server_options({kForce, kDetach, kWait});
}

}  // namespace

std::vector<Command> app_commands() {
    std::vector<Command> commands{
        {"app add",
         "adds an application and waits until it runs",
         "smackd app add meter.json",
         {kFile},
         changing(),
         app_add},
        {"app list", "lists the applications", "smackd app list", {}, with_server_options(), app_list},
        {"app show",
         "shows an application with its tasks",
         "smackd app show /meter",
         {kId},
         with_server_options(),
         app_show},
        {"app update",
         "changes an application: members in the file replace its own",
         "smackd app update /meter meter.json",
         {kId, kFile},
         changing(),
         app_update},
        {"app plan",
         "says what a definition would change and where its tasks would run; changes nothing",
         "smackd app plan meter.json",
         {kFile},
         with_server_options(
             {{"--id", "ID", "the application, for a file that does not name it"},
              {"--exit-code", "", "ends with 3 when there are changes, 0 when there are none"},
              {"--force", "", "as if a deployment in the way were cancelled"}}),
         app_plan},
        {"app scale",
         "changes how many tasks an application has",
         "smackd app scale /meter 3",
         {kId, {"INSTANCES", "how many"}},
         changing(),
         app_scale},
        {"app restart",
         "replaces all tasks of an application, as its upgrade strategy says",
         "smackd app restart /meter",
         {kId},
         changing(),
         app_restart},
        {"app versions",
         "lists the versions an application can go back to",
         "smackd app versions /meter",
         {kId},
         with_server_options(),
         app_versions},
        {"app rollback",
         "goes back to an earlier version",
         "smackd app rollback /meter 2026-01-02T03:04:05.678Z",
         {kId, {"VERSION", "as `smackd app versions` lists it"}},
         changing(),
         app_rollback},
        {"app explain",
         "says how an application is and why it is not where it should be",
         "smackd app explain /meter",
         {kId},
         with_server_options(),
         app_explain},
        {"app remove",
         "ends all tasks of an application and forgets it",
         "smackd app remove /meter",
         {kId},
         changing(),
         app_remove},
        {"deployment list",
         "lists the deployments that are running",
         "smackd deployment list",
         {},
         with_server_options(),
         deployment_list},
        {"deployment cancel",
         "ends a deployment and puts everything back as it was",
         "smackd deployment cancel 5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43",
         {{"DEPLOYMENT", "its id"}},
         with_server_options({{"--keep", "", "leaves the apps as they are wanted now"}}),
         deployment_cancel},
    };
    return commands;
}

}  // namespace smackd::cmd
