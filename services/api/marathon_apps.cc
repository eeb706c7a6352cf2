// /v2/apps: definitions, their versions, and what they become.
#include <algorithm>

#include "core/ascii.h"
#include "core/marathon/app_json.h"
#include "core/marathon/path_id.h"
#include "core/marathon/selector.h"
#include "core/marathon/timestamp.h"
#include "services/api/app_warnings.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/marathon_deploy.h"
#include "services/api/marathon_json.h"
#include "services/api/marathon_request.h"

namespace smackd::services::handlers {

using core::Action;
using core::Json;
using core::Result;
using marathon::Checked;
using marathon::Problem;
using net::http::Response;

namespace {

constexpr int kNotFound = 404;
constexpr int kConflict = 409;

Problem no_app(std::string_view id) {
    return Problem::of(kNotFound, std::format("App '{}' does not exist", id));
}

/// The body's JSON, or the refusal.
net::Task<Result<Checked<Json>>> body_json(Call& call) {
    CO_TRY(co_await read_json_text(call));
    co_return marathon::parse_body(call.body);
}

Response deployed_reply(int status, const Deployed& deployed, const std::vector<std::string>& warnings = {}) {
    Json json = deployment_result_json(deployed.version_ms, deployed.deployment);
    add_warnings(json, warnings);
    Response response = marathon_reply(status, json);
    response.headers.add("Marathon-Deployment-Id", deployed.deployment);
    return response;
}

int64_t now_ms(const Call& call) {
    return call.api.environment.clock.wall().unix_ms;
}

/// ?cmd=, ?id=, ?label=: what a list is narrowed to.
struct AppFilter {
    std::string cmd;
    std::string id;
    std::optional<marathon::Selector> labels;

    static Checked<AppFilter> of(const net::http::Request& request);
    bool accepts(const wire::AppDefinition& app) const;
};

Checked<AppFilter> AppFilter::of(const net::http::Request& request) {
    AppFilter filter;
    filter.cmd = core::ascii_lower(request.query("cmd").value_or(""));
    filter.id = core::ascii_lower(request.query("id").value_or(""));
    if (const auto text = request.query("label")) {
        auto selector = marathon::Selector::parse(*text);
        if (!selector) return std::unexpected(std::move(selector.error()));
        filter.labels = std::move(*selector);
    }
    return filter;
}

bool AppFilter::accepts(const wire::AppDefinition& app) const {
    if (!cmd.empty() && !core::ascii_lower(app.cmd()).contains(cmd)) return false;
    if (!id.empty() && !core::ascii_lower(app.id()).contains(id)) return false;
    return !labels || labels->matches(app);
}

Json apps_below(const Call& call, const AppsModel& model, const std::string& group, const AppFilter& filter) {
    Json list = Json::array();
    const marathon::AppEmbed embed = app_embed_of(call.request);
    const std::string prefix = group == "/" ? "/" : group + "/";
    for (const auto& [id, row] : model.apps) {
        if (!id.starts_with(prefix) || !filter.accepts(row.put) || !call.may(Action::kView, id)) continue;
        list.push(app_info_json(model, row.put, embed, now_ms(call)));
    }
    return list;
}

/// How a body changes an app that is there, and whether it may make a new one.
struct PutMode {
    bool partial = true;
    bool must_exist = false;

    static PutMode of(const net::http::Request& request) {
        const bool patch = request.method == "PATCH";
        return {.partial = patch || query_says(request, "partialUpdate", true), .must_exist = patch};
    }
};

/// One app of a body over what is there, or a new one.
Checked<void> put_one(const Call& call, const AppsModel& model, WantedApps& wanted, const Json& json,
                      const marathon::AppContext& context, PutMode mode) {
    std::string id = context.id;
    if (id.empty()) {
        auto resolved = marathon::resolve_app_id(json["id"].as_string());
        if (resolved) id = *resolved;
    }
    if (!id.empty()) {
        if (auto may = allowed_to_put(call, id); !may) return may;
    }
    if (mode.must_exist && !id.empty() && !model.apps.contains(id)) return std::unexpected(no_app(id));
    auto app = defined_by(model, id, json, context, mode.partial);
    if (!app) return std::unexpected(std::move(app.error()));
    wanted.apps[app->id()] = std::move(*app);
    return {};
}

}  // namespace

Answer list_apps(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    auto filter = AppFilter::of(call.request);
    if (!filter) co_return problem_reply(filter.error());
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    co_return marathon_reply(200, Json::object().set("apps", apps_below(call, *model, "/", *filter)));
}

Answer show_app(Call& call) {
    const auto [id, below] = AppsInPath::of(call.argument());
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (below) {
        CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
        co_return marathon_reply(200, Json::object().set("*", apps_below(call, *model, id, {})));
    }
    CO_TRY(call.require(Action::kView, id));
    const auto found = model->apps.find(id);
    if (found == model->apps.end()) co_return problem_reply(no_app(id));
    marathon::AppEmbed embed = app_embed_of(call.request);
    embed.tasks = embed.last_task_failure = embed.readiness = true;
    co_return marathon_reply(
        200, Json::object().set("app", app_info_json(*model, found->second.put, embed, now_ms(call))));
}

Answer create_app(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kLaunch));
    CO_TRY_ASSIGN(auto body, co_await body_json(call));
    if (!body) co_return problem_reply(body.error());
    auto app = marathon::app_from_json(*body, {});
    if (!app) co_return problem_reply(app.error());
    const std::string id = app->id();
    CO_TRY(call.require(Action::kLaunch, id));
    AppsEdit edit = [&](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        if (model.apps.contains(id))
            return std::unexpected(
                Problem::of(kConflict, std::format("An app with id [{}] already exists.", id)));
        wanted.apps[id] = *app;
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const auto found = model->apps.find(id);
    Json json = found == model->apps.end()
                    ? marathon::app_to_json(*app)
                    : app_info_json(*model, found->second.put, {.tasks = true}, now_ms(call));
    if (json["deployments"].as_array().empty())
        json.set("deployments", Json::array().push(Json::object().set("id", deployed->deployment)));
    add_warnings(json, app_warnings(call, *model, found == model->apps.end() ? *app : found->second.put));
    Response response = marathon_reply(201, json);
    response.headers.add("Location", "/v2/apps" + id);
    response.headers.add("Marathon-Deployment-Id", deployed->deployment);
    co_return response;
}

Answer put_apps(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kChange));
    const PutMode mode = PutMode::of(call.request);
    CO_TRY_ASSIGN(auto body, co_await body_json(call));
    if (!body) co_return problem_reply(body.error());
    if (!body->is_array())
        co_return problem_reply(Problem::of(400, "Invalid JSON: must be an array of apps"));
    AppsEdit edit = [&](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        for (const Json& one : body->as_array()) {
            if (auto put = put_one(call, model, wanted, one, {}, mode); !put) return put;
        }
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    co_return deployed_reply(200, *deployed);
}

Answer put_app(Call& call) {
    const std::string id = id_in_path(call.argument());
    const PutMode mode = PutMode::of(call.request);
    if (!call.may(Action::kLaunch, id)) CO_TRY(call.require(Action::kChange, id));
    CO_TRY_ASSIGN(auto body, co_await body_json(call));
    if (!body) co_return problem_reply(body.error());
    auto rollback = marathon::rollback_of(*body);
    if (!rollback) co_return problem_reply(rollback.error());
    std::optional<wire::AppDefinition> target;
    if (*rollback != 0) {
        CO_TRY(call.require(Action::kView, id));
        const int64_t version = *rollback;
        CO_TRY_ASSIGN(target, co_await read<std::optional<wire::AppDefinition>>(
                                  call, [&](View& view) { return view.app_version(id, version); }));
        if (!target)
            co_return problem_reply(
                Problem::of(kNotFound, std::format("App '{}' does not exist in version {}", id,
                                                   marathon::format_timestamp(version))));
    }
    bool existed = false;
    AppsEdit edit = [&](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        existed = model.apps.contains(id);
        if (target && !existed) return std::unexpected(no_app(id));
        if (!target) return put_one(call, model, wanted, *body, {.base = "/", .id = id}, mode);
        wanted.apps[id] = *target;
        wanted.rolled_back[id] = *target;
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    std::vector<std::string> warnings;
    if (const auto now = model->apps.find(id); now != model->apps.end())
        warnings = app_warnings(call, *model, now->second.put);
    Response response = deployed_reply(existed ? 200 : 201, *deployed, warnings);
    if (!existed) response.headers.add("Location", "/v2/apps" + id);
    co_return response;
}

Answer remove_app(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kKill, id));
    AppsEdit edit = [&](const AppsModel&, WantedApps& wanted) -> Checked<void> {
        if (wanted.apps.erase(id) == 0) return std::unexpected(no_app(id));
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", true));
    if (!deployed) co_return std::move(deployed.error());
    co_return deployed_reply(200, *deployed);
}

Answer restart_app(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kChange, id));
    AppsEdit edit = [&](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        if (!model.apps.contains(id)) return std::unexpected(no_app(id));
        wanted.restarted.insert(id);
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    co_return deployed_reply(200, *deployed);
}

Answer list_app_versions(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kView, id));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const auto versions, co_await read<std::vector<int64_t>>(
                                           call, [id](View& view) { return view.app_versions(id); }));
    if (versions.empty()) co_return problem_reply(no_app(id));
    Json list = Json::array();
    for (const int64_t version : versions) list.push(marathon::format_timestamp(version));
    co_return marathon_reply(200, Json::object().set("versions", std::move(list)));
}

Answer show_app_version(Call& call) {
    const std::string id = id_in_path(call.argument());
    CO_TRY(call.require(Action::kView, id));
    auto version = marathon::parse_timestamp(call.argument(1));
    if (!version) co_return problem_reply(Problem::of(422, version.error().message));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const auto app,
                  co_await read<std::optional<wire::AppDefinition>>(
                      call, [id, at = *version](View& view) { return view.app_version(id, at); }));
    if (!app)
        co_return problem_reply(Problem::of(kNotFound, std::format("App '{}' does not exist in version {}",
                                                                   id, call.argument(1).substr(0, 64))));
    co_return marathon_reply(200, marathon::app_to_json(*app));
}

}  // namespace smackd::services::handlers
