// /v2/deployments, /v2/queue, /v2/info, /v2/leader: how far changes are, what waits and why, and who answers.
#include <algorithm>

#include "core/marathon/app_info.h"
#include "core/marathon/path_id.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/live_nodes.h"
#include "services/api/marathon_deploy.h"
#include "services/api/marathon_json.h"
#include "services/api/marathon_request.h"
#include "storage/state/limits.h"

namespace smackd::services::handlers {

using core::Action;
using core::Json;
using marathon::Checked;
using marathon::Problem;
using net::http::Response;

namespace {

constexpr int kAccepted = 202;
constexpr int kNoContent = 204;
/// What clients that look at Marathon's version may rely on.
constexpr std::string_view kMarathonVersion = "1.11.24";

bool sees(const Call& call, const wire::Deployment& deployment) {
    return std::ranges::any_of(deployment.affected_apps(),
                               [&](const std::string& app) { return call.may(Action::kView, app); });
}

/// A deployment without the apps that the caller may not see.
wire::Deployment seen_of(const Call& call, wire::Deployment deployment) {
    const auto is_hidden = [&call](const std::string& app) { return !call.may(Action::kView, app); };
    std::vector<std::string> apps(deployment.affected_apps().begin(), deployment.affected_apps().end());
    if (std::erase_if(apps, is_hidden) == 0) return deployment;
    deployment.mutable_affected_apps()->Assign(apps.begin(), apps.end());
    for (wire::DeploymentStep& step : *deployment.mutable_steps()) {
        wire::DeploymentStep seen;
        for (const auto& entry : step.entries()) {
            if (!is_hidden(entry.app_id())) *seen.add_entries() = entry;
        }
        step = std::move(seen);
    }
    return deployment;
}

/// What placement says now, asked of the same pure step that the leader asks; its actions are not carried
/// out.
std::map<std::string, apps::WhyNot> waiting(const Call& call, const AppsModel& model) {
    ApiEnvironment& environment = call.api.environment;
    const int64_t now_ms = environment.clock.wall().unix_ms;
    core::SeededRandom random(1);
    return apps::decide(plan_view(model, live_members(call), call.api.options.node.id, now_ms),
                        plan_parameters(model), now_ms, random)
        .waiting;
}

}  // namespace

Answer list_deployments(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Json list = Json::array();
    for (const auto& [id, row] : model->deployments) {
        if (sees(call, row.put)) list.push(marathon::deployment_to_json(seen_of(call, row.put)));
    }
    co_return marathon_reply(200, list);
}

/// Without force: everything as it was before, by another deployment. With it: the apps stay as they are
/// wanted now.
Answer remove_deployment(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kChange));
    const std::string id = call.argument();
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const auto found = model->deployments.find(id);
    if (found == model->deployments.end() || !sees(call, found->second.put))
        co_return problem_reply(
            Problem::of(404, std::format("DeploymentPlan {} does not exist", id.substr(0, 64))));
    const auto force = call.request.query("force");
    if (force && *force == "true") {
        wire::Command command = make_command(call);
        command.set_feature_level(storage::state::kLevelOfApps);
        command.add_changes()->mutable_remove_deployment()->set_id(id);
        CO_TRY(co_await change(call, std::move(command), {.kind = "deployment", .key = id}));
        Response response;
        response.status = kAccepted;
        co_return response;
    }
    const wire::Deployment undone = found->second.put;
    AppsEdit edit = [&](const AppsModel&, WantedApps& wanted) -> Checked<void> {
        for (const std::string& app : undone.affected_apps()) wanted.apps.erase(app);
        for (const wire::AppDefinition& before : undone.before()) {
            wanted.apps[before.id()] = before;
            wanted.rolled_back[before.id()] = before;
        }
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), true);
    if (!deployed) co_return std::move(deployed.error());
    co_return marathon_reply(200, deployment_result_json(deployed->version_ms, deployed->deployment));
}

Answer list_queue(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Json list = Json::array();
    for (const auto& [id, why] : waiting(call, *model)) {
        const auto app = model->apps.find(id);
        if (app == model->apps.end() || !call.may(Action::kView, id)) continue;
        const auto backoff = model->backoffs.find(id);
        list.push(marathon::queue_item_to_json(
            app->second.put, why, backoff == model->backoffs.end() ? nullptr : &backoff->second.put,
            call.api.environment.clock.wall().unix_ms));
    }
    co_return marathon_reply(200, Json::object().set("queue", std::move(list)));
}

Answer reset_delay(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kChange, id));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!model->apps.contains(id))
        co_return problem_reply(
            Problem::of(404, std::format("Application {} not found in tasks queue.", id)));
    wire::Command command = make_command(call);
    command.set_feature_level(storage::state::kLevelOfApps);
    command.add_changes()->mutable_put_app_backoff()->mutable_backoff()->set_app_id(id);
    CO_TRY(co_await change(call, std::move(command), {.kind = "backoff", .key = id}));
    Response response;
    response.status = kNoContent;
    co_return response;
}

Answer marathon_info(Call& call) {
    CO_TRY(call.require_some_rule(Action::kView));
    const storage::ReplicaStatus& status = call.api.environment.state.status();
    Json config;
    config.set("hostname", call.api.options.node.machine)
        .set("local_port_min", 10000)
        .set("local_port_max", 20000);
    Json features = Json::array();
    for (const char* feature : {"vips", "task_killing", "external_volumes", "secrets", "gpu_resources"})
        features.push(feature);
    config.set("features", std::move(features));
    Json json;
    json.set("name", "marathon")
        .set("version", kMarathonVersion)
        .set("buildref", "smackd " + call.api.options.node.version);
    json.set("elected", status.role == storage::ReplicaRole::kLeader)
        .set("leader", call.api.options.node.machine);
    json.set("frameworkId", "marathon").set("marathon_config", std::move(config));
    json.set("zookeeper_config", Json::object()).set("http_config", Json::object());
    co_return marathon_reply(200, json);
}

Answer marathon_leader(Call& call) {
    CO_TRY(call.require_some_rule(Action::kView));
    const storage::ReplicaStatus& status = call.api.environment.state.status();
    const auto leader = std::ranges::find(status.servers, status.leader, &storage::Server::id);
    if (leader == status.servers.end()) co_return problem_reply(Problem::of(404, "There is no leader"));
    co_return marathon_reply(200, Json::object().set("leader", leader->address));
}

}  // namespace smackd::services::handlers
