// /v2/groups: apps by the path they share, changed together.
//
// A group's history is that of its apps: its versions are theirs, and as of one of them it has the apps it
// has now as they were then, without those that came later. What was removed meanwhile is not in it.
#include <algorithm>
#include <set>

#include "core/marathon/app_json.h"
#include "core/marathon/group_json.h"
#include "core/marathon/path_id.h"
#include "core/marathon/timestamp.h"
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
using marathon::GroupUpdate;
using marathon::Problem;
using marathon::Tree;
using net::http::Response;

namespace {

constexpr int kNotFound = 404;
constexpr int kUnprocessable = 422;

Problem no_group(std::string_view id) {
    return Problem::of(kNotFound, std::format("Group '{}' does not exist", id.substr(0, 128)));
}

/// The group of the address; the root where it names none.
std::string group_in_path(const Call& call) {
    return call.arguments.empty() ? "/" : id_in_path(call.argument());
}

/// The root is everybody's who may see something: of it and of every other group only what may be seen is
/// shown.
Result<void> may_view(const Call& call, const std::string& id) {
    if (id == "/") return call.view->policy.authorize_somewhere(call.subject(), Action::kView);
    return call.require(Action::kView, id);
}

Tree seen_tree(const Call& call, const AppsModel& model) {
    Tree tree;
    for (const auto& [id, row] : model.apps) {
        if (call.may(Action::kView, id)) tree.apps.emplace(id, row.put);
    }
    for (const auto& [id, row] : model.groups) {
        if (call.may(Action::kView, id)) tree.groups.emplace(id, row.put);
    }
    return tree;
}

/// ?embed=group.groups and so on: those named, or all when none of a group is.
marathon::GroupEmbed group_embed_of(const net::http::Request& request) {
    marathon::GroupEmbed named{.groups = false, .apps = false};
    bool any = false;
    for (const auto& [name, value] : request.target.query) {
        if (name != "embed") continue;
        named.groups |= value == "group.groups";
        named.apps |= value == "group.apps" || value.starts_with("group.apps.");
        any |= value.starts_with("group.");
    }
    return any ? named : marathon::GroupEmbed{};
}

Response group_reply(const Call& call, const AppsModel& model, const Tree& tree, const std::string& id) {
    const marathon::AppEmbed embed = app_embed_of(call.request);
    const int64_t now_ms = call.api.environment.clock.wall().unix_ms;
    auto json = marathon::group_to_json(
        tree, id, group_embed_of(call.request),
        [&](const wire::AppDefinition& app) { return app_info_json(model, app, embed, now_ms); });
    return json ? marathon_reply(200, *json) : problem_reply(no_group(id));
}

/// The apps of a tree that are below a group, each by the versions that are kept of it.
using History = std::map<std::string, std::vector<int64_t>>;
net::Task<Result<History>> history_of(Call& call, const Tree& tree, std::string group) {
    std::vector<std::string> ids;
    for (const auto& [id, app] : tree.apps) {
        if (apps::is_in_group(id, group)) ids.push_back(id);
    }
    co_return co_await read<History>(call, [ids = std::move(ids)](View& view) -> Result<History> {
        History history;
        for (const std::string& id : ids) {
            TRY_ASSIGN(history[id], view.app_versions(id));
        }
        return history;
    });
}

/// The newest versions, not after `version_ms`; none where nothing has this very version.
net::Task<Result<std::optional<apps::Apps>>> apps_at(Call& call, History history, int64_t version_ms) {
    const auto is_known = [&](const auto& one) { return std::ranges::contains(one.second, version_ms); };
    if (std::ranges::none_of(history, is_known)) co_return std::optional<apps::Apps>();
    co_return co_await read<std::optional<apps::Apps>>(
        call, [history = std::move(history), version_ms](View& view) -> Result<std::optional<apps::Apps>> {
            apps::Apps found;
            for (const auto& [id, versions] : history) {
                int64_t newest = 0;
                for (const int64_t version : versions) {
                    if (version <= version_ms) newest = std::max(newest, version);
                }
                if (newest == 0) continue;
                TRY_ASSIGN(auto app, view.app_version(id, newest));
                if (app) found.emplace(id, std::move(*app));
            }
            return found;
        });
}

/// Which group a body means, as group_from_json will find out; that of the address for one that is wrong.
std::string target_in(const Json& body, const std::string& group) {
    const Json* id = body.is_object() ? body.find("id") : nullptr;
    if (id == nullptr || !id->is_string()) return group;
    return marathon::resolve_id(id->as_string(), group).value_or(group);
}

Response deployed_group(int status, const Deployed& deployed) {
    Response response =
        marathon_reply(status, deployment_result_json(deployed.version_ms, deployed.deployment));
    response.headers.add("Marathon-Deployment-Id", deployed.deployment);
    return response;
}

/// What a request makes of a group.
struct GroupChange {
    std::string group;  ///< of the address
    Json body;
    bool create = false;
    std::optional<apps::Apps> then;  ///< of a rollback: the group's apps as they were
    std::string target;              ///< filled in by the edit
};

Checked<void> apply_rollback(const AppsModel& model, const GroupChange& change, const GroupUpdate& update,
                             WantedApps& wanted) {
    if (!change.then)
        return std::unexpected(
            Problem::of(kNotFound, std::format("Group '{}' does not exist in version {}", update.id,
                                               marathon::format_timestamp(update.version_ms))));
    for (const auto& [id, row] : model.apps) {
        if (apps::is_in_group(id, update.id) && !change.then->contains(id)) wanted.apps.erase(id);
    }
    for (const auto& [id, app] : *change.then) {
        wanted.apps[id] = app;
        wanted.rolled_back[id] = app;
    }
    return {};
}

AppsEdit edit_of(GroupChange& change) {
    return [&change](const AppsModel& model, WantedApps& wanted) -> Checked<void> {
        auto update =
            marathon::group_from_json(change.body, change.group, {wanted.apps, wanted.groups}, change.create);
        if (!update) return std::unexpected(std::move(update.error()));
        change.target = update->id;
        if (update->kind == GroupUpdate::Kind::kRollback)
            return apply_rollback(model, change, *update, wanted);
        wanted.apps = std::move(update->tree.apps);
        wanted.groups = std::move(update->tree.groups);
        return {};
    };
}

/// The body and, for a rollback, what the group had then. The caller's right on the group is asked first:
/// whoever has none is not told what is there.
net::Task<Result<Checked<GroupChange>>> read_change(Call& call, bool create) {
    GroupChange change;
    change.group = group_in_path(call);
    change.create = create;
    CO_TRY(co_await read_json_text(call));
    auto body = marathon::parse_body(call.body);
    const std::string target = body ? target_in(*body, change.group) : change.group;
    if (!call.may(Action::kLaunch, target)) CO_TRY(call.require(Action::kChange, target));
    if (!body) co_return Checked<GroupChange>(std::unexpected(std::move(body.error())));
    change.body = std::move(*body);
    const Json* version = change.body.is_object() ? change.body.find("version") : nullptr;
    if (version == nullptr || !version->is_string()) co_return change;
    auto version_ms = marathon::parse_timestamp(version->as_string());
    if (!version_ms) co_return change;  // said by group_from_json
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    CO_TRY_ASSIGN(History history, co_await history_of(call, seen_tree(call, *model), target));
    CO_TRY_ASSIGN(change.then, co_await apps_at(call, std::move(history), *version_ms));
    co_return change;
}

}  // namespace

Answer show_app_group(Call& call) {
    const std::string id = group_in_path(call);
    CO_TRY(may_view(call, id));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    co_return group_reply(call, *model, seen_tree(call, *model), id);
}

Answer list_group_apps(Call& call) {
    const std::string id = group_in_path(call);
    CO_TRY(may_view(call, id));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const Tree tree = seen_tree(call, *model);
    if (!marathon::has_group(tree, id)) co_return problem_reply(no_group(id));
    Json list = Json::array();
    const marathon::AppEmbed embed = app_embed_of(call.request);
    for (const auto& [app_id, app] : tree.apps) {
        if (apps::is_in_group(app_id, id))
            list.push(app_info_json(*model, app, embed, call.api.environment.clock.wall().unix_ms));
    }
    co_return marathon_reply(200, list);
}

Answer list_group_versions(Call& call) {
    const std::string id = group_in_path(call);
    CO_TRY(may_view(call, id));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const Tree tree = seen_tree(call, *model);
    if (!marathon::has_group(tree, id)) co_return problem_reply(no_group(id));
    CO_TRY_ASSIGN(const History history, co_await history_of(call, tree, id));
    std::set<int64_t, std::greater<>> versions;
    for (const auto& [app, of_app] : history) versions.insert(of_app.begin(), of_app.end());
    Json list = Json::array();
    for (const int64_t version : versions) list.push(marathon::format_timestamp(version));
    co_return marathon_reply(200, list);
}

Answer show_group_version(Call& call) {
    const std::string text = call.arguments.back();
    call.arguments.pop_back();
    const std::string id = group_in_path(call);
    CO_TRY(may_view(call, id));
    auto version_ms = marathon::parse_timestamp(text);
    if (!version_ms) co_return problem_reply(Problem::of(kUnprocessable, version_ms.error().message));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Tree tree = seen_tree(call, *model);
    CO_TRY_ASSIGN(History history, co_await history_of(call, tree, id));
    CO_TRY_ASSIGN(auto then, co_await apps_at(call, std::move(history), *version_ms));
    if (!then)
        co_return problem_reply(Problem::of(
            kNotFound, std::format("Group '{}' does not exist in version {}", id, text.substr(0, 64))));
    tree.apps = std::move(*then);
    co_return group_reply(call, *model, tree, id);
}

Answer create_app_group(Call& call) {
    CO_TRY_ASSIGN(auto change, co_await read_change(call, true));
    if (!change) co_return problem_reply(change.error());
    auto deployed = co_await deploy(call, edit_of(*change), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    Response response = deployed_group(201, *deployed);
    response.headers.add("Location", "/v2/groups" + change->target);
    co_return response;
}

Answer put_app_group(Call& call) {
    CO_TRY_ASSIGN(auto change, co_await read_change(call, false));
    if (!change) co_return problem_reply(change.error());
    const bool force = query_says(call.request, "force", false);
    if (query_says(call.request, "dryRun", false)) {
        auto planned = co_await plan_only(call, edit_of(*change), force);
        if (!planned) co_return std::move(planned.error());
        co_return marathon_reply(
            200, Json::object().set("steps", marathon::steps_to_json(deployment_in(*planned))));
    }
    auto deployed = co_await deploy(call, edit_of(*change), force);
    if (!deployed) co_return std::move(deployed.error());
    co_return deployed_group(200, *deployed);
}

/// Only `enforceRole` of a top-level group, as in Marathon 1.11.
Answer patch_app_group(Call& call) {
    const std::string id = group_in_path(call);
    CO_TRY(call.require(Action::kChange, id));
    CO_TRY(co_await read_json_text(call));
    auto body = marathon::parse_body(call.body);
    if (!body) co_return problem_reply(body.error());
    const Json* enforce = body->is_object() ? body->find("enforceRole") : nullptr;
    if (enforce == nullptr || !enforce->is_bool())
        co_return problem_reply(Problem::of(kUnprocessable,
                                            "enforceRole must be given, as true or false: nothing else of a "
                                            "group is patched; use PUT"));
    if (id == "/" || marathon::parent_id(id) != "/")
        co_return problem_reply(
            Problem::of(kUnprocessable, "enforceRole can only be changed for top-level groups"));
    const bool value = enforce->as_bool();
    AppsEdit edit = [&](const AppsModel&, WantedApps& wanted) -> Checked<void> {
        if (!marathon::has_group({wanted.apps, wanted.groups}, id)) return std::unexpected(no_group(id));
        wanted.groups[id].set_id(id);
        wanted.groups[id].set_enforce_role(value);
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), false);
    if (!deployed) co_return std::move(deployed.error());
    Response response;
    response.status = 200;
    co_return response;
}

Answer remove_app_group(Call& call) {
    const std::string id = group_in_path(call);
    CO_TRY(call.require(Action::kKill, id));
    AppsEdit edit = [&](const AppsModel&, WantedApps& wanted) -> Checked<void> {
        auto rest = marathon::without_group({wanted.apps, wanted.groups}, id);
        if (!rest) return std::unexpected(no_group(id));
        wanted.apps = std::move(rest->apps);
        wanted.groups = std::move(rest->groups);
        return {};
    };
    auto deployed = co_await deploy(call, std::move(edit), query_says(call.request, "force", false));
    if (!deployed) co_return std::move(deployed.error());
    co_return deployed_group(200, *deployed);
}

}  // namespace smackd::services::handlers
