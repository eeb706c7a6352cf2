#include "services/api/app_plan.h"

#include <algorithm>

#include "core/apps/claims.h"
#include "core/apps/forecast.h"
#include "core/marathon/app_diff.h"
#include "core/marathon/path_id.h"
#include "services/api/app_warnings.h"
#include "services/api/conditions.h"
#include "services/api/live_nodes.h"
#include "services/api/marathon_deploy.h"
#include "services/api/marathon_json.h"
#include "services/api/marathon_request.h"

namespace smackd::services::handlers {

using core::Action;
using core::Json;
using marathon::Checked;
using marathon::Problem;

namespace {

constexpr int kUnprocessable = 422;

/// What the real call would propose, and the state with it applied.
struct Planned {
    AppsModel model;
    std::optional<wire::AppDefinition> before;  ///< the app as it is; nullopt: it is new
    wire::Command command;
};

/// What apply refuses of a definition beyond its form: rights on the node, and names that are another's.
core::Result<void> check_reach(const Call& call, const AppsModel& model, const wire::AppDefinition& app) {
    for (const apps::NeededRight& right : apps::needed_rights(app)) {
        if (auto granted = call.require(right.action, app.id()); !granted)
            return core::fail(core::Errc::kDenied, "{}",
                              apps::text_of_missing_right(app, right, granted.error().message));
    }
    std::map<std::string, std::string> owners;  // of what the caller may not take
    for (const auto& [id, row] : model.apps) {
        if (id == app.id() || call.may(Action::kChange, id)) continue;
        for (const std::string& claim : apps::claims_of(row.put)) owners.emplace(claim, id);
    }
    for (const std::string& claim : apps::claims_of(app)) {
        for (const std::string& taken : apps::excluded_by(claim)) {
            const auto owner = owners.find(taken);
            if (owner == owners.end()) continue;
            const bool seen = call.may(Action::kView, owner->second);
            return core::fail(core::Errc::kDenied, "{}",
                              apps::text_of_taken_claim(app.id(), claim, seen ? owner->second : ""));
        }
    }
    return {};
}

Checked<wire::AppDefinition> wanted_app(const Call& call, const AppsModel& model, const std::string& id,
                                        const Json& body) {
    if (auto may = allowed(call, model.apps.contains(id) ? Action::kChange : Action::kLaunch, id); !may)
        return std::unexpected(std::move(may.error()));
    auto rollback = marathon::rollback_of(body);
    if (!rollback && model.apps.contains(id)) return std::unexpected(std::move(rollback.error()));
    if (rollback && *rollback != 0)
        return std::unexpected(Problem::of(
            kUnprocessable, "version: a plan is made of a definition; ask for that version's and plan it"));
    return defined_by(model, id, body, {.base = "/", .id = id},
                      query_says(call.request, "partialUpdate", true));
}

/// The app in the command, nullptr where it stays as it is.
const wire::AppDefinition* changed_app(const wire::Command& command) {
    for (const wire::Change& change : command.changes()) {
        if (change.has_put_app()) return &change.put_app().app();
    }
    return nullptr;
}

void apply(const wire::Command& command, AppsModel& model) {
    for (const wire::Change& change : command.changes()) {
        if (change.has_put_app()) {
            model.apps[change.put_app().app().id()].put = change.put_app().app();
        } else if (change.has_put_deployment()) {
            const wire::Deployment& deployment = change.put_deployment().deployment();
            model.deployments[deployment.id()].put = deployment;
        } else if (change.has_remove_deployment()) {
            model.deployments.erase(change.remove_deployment().id());
        }
    }
}

/// What the step of the app's deployment does: "create", "restart", "scale", "describe", or "none".
std::string_view effect_of(const Planned& planned, const std::string& id) {
    if (changed_app(planned.command) == nullptr) return "none";
    if (!planned.before) return "create";
    for (const auto& step : deployment_in(planned.command).steps()) {
        for (const auto& entry : step.entries()) {
            if (entry.app_id() != id) continue;
            if (entry.action() == wire::ACTION_RESTART) return "restart";
            if (entry.action() == wire::ACTION_SCALE) return "scale";
        }
    }
    return "describe";
}

Json changes_json(const wire::AppDefinition* before, const wire::AppDefinition& app) {
    Json list = Json::array();
    for (marathon::FieldChange& change : marathon::changed_fields(before, app)) {
        list.push(Json::object()
                      .set("path", std::move(change.path))
                      .set("old", std::move(change.before))
                      .set("new", std::move(change.after))
                      .set("restarts", change.restarts));
    }
    return list;
}

Json waiting_json(const apps::WhyNot& why) {
    Json counts = Json::object();
    for (const auto& [reason, count] : why.counts) counts.set(apps::reason_name(reason), count);
    Json nodes = Json::array();
    for (const apps::NodeReason& node : why.nodes)
        nodes.push(Json::object()
                       .set("host", node.machine)
                       .set("reason", apps::reason_name(node.reason))
                       .set("text", node.text));
    return Json::object()
        .set("count", why.missing)
        .set("reason", why.text)
        .set("reasons", std::move(counts))
        .set("nodes", std::move(nodes));
}

void add_forecast(Json& json, const apps::Forecast& forecast, const wire::AppDefinition& app) {
    json.set("tasks", Json::object()
                          .set("wanted", app.instances())
                          .set("kept", forecast.kept)
                          .set("started", forecast.started)
                          .set("stopped", forecast.stopped));
    Json nodes = Json::array();
    for (const auto& [machine, share] : forecast.nodes)
        nodes.push(Json::object().set("host", machine).set("now", share.now).set("then", share.then));
    json.set("nodes", std::move(nodes)).set("complete", forecast.complete);
    if (forecast.waiting) json.set("waiting", waiting_json(*forecast.waiting));
}

/// On a worker: it looks at every task of the cluster, several times.
net::Task<core::Result<apps::Forecast>> foresee(Call& call, const Planned& planned, std::string id) {
    ApiEnvironment& environment = call.api.environment;
    const int64_t now_ms = environment.clock.wall().unix_ms;
    const std::vector<LiveMember> members = live_members(call);
    const core::NodeId self = call.api.options.node.id;
    auto forecast = co_await environment.workers.run<apps::Forecast>(
        environment.loop, [&]() -> core::Result<apps::Forecast> {
            return apps::forecast(plan_view(planned.model, members, self, now_ms),
                                  plan_parameters(planned.model), now_ms, id);
        });
    co_return forecast;
}

net::Task<core::Result<void>> reach_newest(Call& call) {
    CO_TRY_ASSIGN(const ReadConditions conditions, ReadConditions::of(call.request));
    if (!conditions.consistent) CO_TRY(co_await reach_leader(call, conditions.wait));
    CO_TRY(co_await await_freshness(call));
    co_return core::Result<void>();
}

}  // namespace

Answer plan_app(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await read_json_text(call));
    auto body = marathon::parse_body(call.body);
    if (!body) co_return problem_reply(body.error());
    const auto resolved = marathon::resolve_app_id((*body)["id"].as_string());
    if (!resolved) {
        const auto wrong = marathon::app_from_json(*body, {});
        co_return problem_reply(wrong ? Problem::of(kUnprocessable, resolved.error().message)
                                      : wrong.error());
    }
    const std::string id = *resolved;
    if (!call.may(Action::kChange, id)) CO_TRY(call.require(Action::kLaunch, id));
    CO_TRY(call.require(Action::kView, id));
    CO_TRY(co_await reach_newest(call));

    Planned planned;
    AppsEdit edit = [&](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        auto app = wanted_app(call, model, id, *body);
        if (!app) return std::unexpected(std::move(app.error()));
        wanted.apps[id] = std::move(*app);
        planned.model = model;
        return {};
    };
    auto command = co_await plan_only(call, std::move(edit), query_says(call.request, "force", false));
    if (!command) co_return std::move(command.error());
    planned.command = std::move(*command);
    if (const auto current = planned.model.apps.find(id); current != planned.model.apps.end())
        planned.before = current->second.put;
    const wire::AppDefinition* changed = changed_app(planned.command);
    if (changed != nullptr) CO_TRY(check_reach(call, planned.model, *changed));
    apply(planned.command, planned.model);
    const wire::AppDefinition& app = planned.model.apps.at(id).put;
    CO_TRY_ASSIGN(const apps::Forecast forecast, co_await foresee(call, planned, id));
    Json json;
    json.set("app", id)
        .set("effect", effect_of(planned, id))
        .set("changes", changes_json(planned.before ? &*planned.before : nullptr, app));
    add_forecast(json, forecast, app);
    json.set("steps", marathon::steps_to_json(deployment_in(planned.command)))
        .set("definition", marathon::app_to_json(app));
    add_warnings(json, app_warnings(call, planned.model, app));
    co_return read_reply(call, planned.model.revision, std::move(json));
}

}  // namespace smackd::services::handlers
