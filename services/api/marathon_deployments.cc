// /v2/deployments, /v2/queue, /v2/info, /v2/leader: how far changes are, what waits and why, and who answers.
#include <algorithm>

#include "core/marathon/app_json.h"
#include "core/marathon/path_id.h"
#include "core/marathon/timestamp.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
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

/// What placement says now, asked of the same pure step that the leader asks; its actions are not carried
/// out.
std::map<std::string, apps::WhyNot> waiting(const Call& call, const AppsModel& model) {
    ApiEnvironment& environment = call.api.environment;
    const int64_t now_ms = environment.clock.wall().unix_ms;
    const auto members =
        environment.liveness == nullptr ? std::vector<LiveMember>{} : environment.liveness->members();
    core::SeededRandom random(1);
    return apps::decide(plan_view(model, members, call.api.options.node.id, now_ms), {}, now_ms, random)
        .waiting;
}

Json reject_summary(const apps::WhyNot& why) {
    Json list = Json::array();
    for (const auto& [reason, count] : why.counts) {
        list.push(Json::object()
                      .set("reason", apps::reason_name(reason))
                      .set("declined", count)
                      .set("processed", count));
    }
    return list;
}

Json queue_item(const AppsModel& model, const wire::AppDefinition& app, const apps::WhyNot& why,
                int64_t now_ms) {
    Json item;
    item.set("app", marathon::app_to_json(app)).set("count", why.missing);
    item.set("role", app.role().empty() ? "*" : app.role());
    const auto backoff = model.backoffs.find(app.id());
    const int64_t until = backoff == model.backoffs.end() ? 0 : backoff->second.put.until_ms();
    const int64_t left = std::max<int64_t>(0, (until - now_ms + 999) / 1000);
    item.set("delay", Json::object().set("timeLeftSeconds", left).set("overdue", left == 0));
    item.set("since", marathon::format_timestamp(app.last_config_change_ms()));
    uint32_t refused = 0;
    for (const auto& [reason, count] : why.counts) refused += count;
    Json summary;
    summary.set("processedOffersCount", refused).set("unusedOffersCount", refused);
    summary.set("rejectSummaryLastOffers", reject_summary(why))
        .set("rejectSummaryLaunchAttempt", reject_summary(why));
    item.set("processedOffersSummary", std::move(summary)).set("reason", why.text);
    Json nodes = Json::array();
    for (const apps::NodeReason& node : why.nodes) {
        nodes.push(Json::object()
                       .set("host", node.machine)
                       .set("reason", apps::reason_name(node.reason))
                       .set("text", node.text));
    }
    item.set("nodes", std::move(nodes));
    return item;
}

}  // namespace

Answer list_deployments(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Json list = Json::array();
    for (const auto& [id, row] : model->deployments) {
        if (sees(call, row.put)) list.push(deployment_json(row.put));
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
        list.push(queue_item(*model, app->second.put, why, call.api.environment.clock.wall().unix_ms));
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
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
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
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    const storage::ReplicaStatus& status = call.api.environment.state.status();
    const auto leader = std::ranges::find(status.servers, status.leader, &storage::Server::id);
    if (leader == status.servers.end()) co_return problem_reply(Problem::of(404, "There is no leader"));
    co_return marathon_reply(200, Json::object().set("leader", leader->address));
}

}  // namespace smackd::services::handlers
