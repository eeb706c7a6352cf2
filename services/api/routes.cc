#include "services/api/routes.h"

#include "services/api/app_plan.h"
#include "services/api/handlers.h"
#include "services/api/node_usage.h"
#include "services/api/reply.h"

namespace smackd::services {
namespace {

using enum Access;
using enum RequestClass;
using enum ErrorForm;
namespace h = handlers;

// People, machines, rules and what streams are for users alone, whatever a rule says of tasks.
// Who may what on each is played by tests/integration/rights_table.py, which fails for a route without a row.
constexpr Route kRoutes[] = {
    {"GET", "/ping", kAnonymous, kHealth, h::ping},
    {"GET", "/health", kAnonymous, kHealth, h::health},
    {"GET", "/ready", kAnonymous, kHealth, h::ready},

    // These look for the caller themselves.
    {"POST", "/smack/v1/login", kAnonymous, kSignIn, h::login},
    {"POST", "/acs/api/v1/auth/login", kAnonymous, kSignIn, h::acs_login},

    {"POST", "/smack/v1/logout", kUser, kSignIn, h::logout},
    {"GET", "/smack/v1/whoami", kTask, kRead, h::whoami},
    {"GET", "/smack/v1/status", kTask, kRead, h::status},
    {"GET", "/smack/v1/nodes", kTask, kRead, h::list_nodes},
    {"GET", "/smack/v1/events", kUser, kEvents, h::events},
    {"GET", "/smack/v1/routes", kUser, kRead, h::list_routes},

    {"GET", "/smack/v1/users", kUser, kRead, h::list_users},
    {"POST", "/smack/v1/users", kUser, kWrite, h::create_user},
    {"GET", "/smack/v1/users/{name}", kUser, kRead, h::show_user},
    {"PUT", "/smack/v1/users/{name}", kUser, kWrite, h::put_user},
    {"DELETE", "/smack/v1/users/{name}", kUser, kWrite, h::remove_user},
    {"POST", "/smack/v1/users/{name}/password", kUser, kWrite, h::set_password},
    {"POST", "/smack/v1/users/{name}/keytab", kUser, kWrite, h::user_keytab},
    {"POST", "/smack/v1/users/{name}/enable", kUser, kWrite, h::enable_user},
    {"POST", "/smack/v1/users/{name}/disable", kUser, kWrite, h::disable_user},

    {"GET", "/smack/v1/groups", kUser, kRead, h::list_groups},
    {"POST", "/smack/v1/groups", kUser, kWrite, h::create_group},
    {"GET", "/smack/v1/groups/{name}", kUser, kRead, h::show_group},
    {"PUT", "/smack/v1/groups/{name}", kUser, kWrite, h::put_group},
    {"DELETE", "/smack/v1/groups/{name}", kUser, kWrite, h::remove_group},
    {"GET", "/smack/v1/directory-groups", kUser, kRead, h::list_directory_groups},
    {"GET", "/smack/v1/directory-groups/{sid}", kUser, kRead, h::show_directory_group},
    {"PUT", "/smack/v1/directory-groups/{sid}", kUser, kWrite, h::put_directory_group},
    {"DELETE", "/smack/v1/directory-groups/{sid}", kUser, kWrite, h::remove_directory_group},

    {"GET", "/smack/v1/machines", kUser, kRead, h::list_machines},
    {"POST", "/smack/v1/machines", kUser, kWrite, h::create_machine},
    {"GET", "/smack/v1/machines/{name}", kUser, kRead, h::show_machine},
    {"PUT", "/smack/v1/machines/{name}", kUser, kWrite, h::put_machine},
    {"DELETE", "/smack/v1/machines/{name}", kUser, kWrite, h::remove_machine},
    {"POST", "/smack/v1/machines/{name}/keytab", kUser, kWrite, h::machine_keytab},
    {"POST", "/smack/v1/machines/{name}/bundle", kUser, kWrite, h::machine_bundle},
    {"GET", "/smack/v1/pending-machines", kUser, kRead, h::list_pending_machines},
    {"DELETE", "/smack/v1/nodes/{id}", kUser, kWrite, h::remove_node},
    {"GET", "/smack/v1/nodes/{id}/usage", kTask, kRead, h::node_usage},
    {"GET", "/smack/v1/hold", kUser, kRead, h::read_hold},
    {"PUT", "/smack/v1/hold", kUser, kWrite, h::put_hold},
    {"PUT", "/smack/v1/nodes/{id}/drain", kUser, kWrite, h::drain_node},
    {"DELETE", "/smack/v1/nodes/{id}/drain", kUser, kWrite, h::undrain_node},

    {"GET", "/smack/v1/rules", kUser, kRead, h::list_rules},
    {"POST", "/smack/v1/rules", kUser, kWrite, h::create_rule},
    {"GET", "/smack/v1/rules/{id}", kUser, kRead, h::show_rule},
    {"PUT", "/smack/v1/rules/{id}", kUser, kWrite, h::put_rule},
    {"DELETE", "/smack/v1/rules/{id}", kUser, kWrite, h::remove_rule},
    {"GET", "/smack/v1/policy/check", kUser, kRead, h::check_policy},

    {"GET", "/smack/v1/realm", kUser, kRead, h::realm},
    {"GET", "/smack/v1/realm/principals", kUser, kRead, h::list_principals},

    {"POST", "/smack/v1/sql", kUser, kRead, h::sql},
    {"GET", "/smack/v1/audit", kUser, kRead, h::audit},
    {"GET", "/smack/v1/refusals", kUser, kRead, h::refusals},
    {"POST", "/smack/v1/backup", kUser, kRead, h::make_backup},
    {"GET", "/smack/v1/backups", kUser, kRead, h::list_backups},
    {"GET", "/metrics", kTask, kRead, h::metrics},

    {"POST", "/smack/v1/apps/plan", kTask, kRead, h::plan_app, kMarathon},
    {"GET", "/smack/v1/tasks/{id}/log/{stream}", kTask, kRead, h::task_log},
    {"GET", "/smack/v1/tasks/{id}/exec", kUser, kEvents, h::task_exec},
    {"GET", "/smack/v1/dns", kTask, kRead, h::list_dns},
    {"PUT", "/smack/v1/dns/{name}", kUser, kWrite, h::put_dns},
    {"DELETE", "/smack/v1/dns/{name}", kUser, kWrite, h::remove_dns},
    {"GET", "/smack/v1/tenants", kTask, kRead, h::list_tenants},
    {"PUT", "/smack/v1/tenants/{name}", kUser, kWrite, h::put_tenant},
    {"DELETE", "/smack/v1/tenants/{name}", kUser, kWrite, h::remove_tenant},
    {"GET", "/smack/v1/allowances", kUser, kRead, h::list_allowances},
    {"PUT", "/smack/v1/allowances/{pair}", kUser, kWrite, h::put_allowance},
    {"DELETE", "/smack/v1/allowances/{pair}", kUser, kWrite, h::remove_allowance},

    // Marathon's; also below /marathon and /service/marathon. Their errors have Marathon's form.
    {"GET", "/v2/apps", kTask, kRead, h::list_apps, kMarathon},
    {"POST", "/v2/apps", kTask, kWrite, h::create_app, kMarathon},
    {"PUT", "/v2/apps", kTask, kWrite, h::put_apps, kMarathon},
    {"PATCH", "/v2/apps", kTask, kWrite, h::put_apps, kMarathon},
    {"POST", "/v2/apps/{id...}/restart", kTask, kWrite, h::restart_app, kMarathon},
    {"GET", "/v2/apps/{id...}/versions", kTask, kRead, h::list_app_versions, kMarathon},
    {"GET", "/v2/apps/{id...}/versions/{version}", kTask, kRead, h::show_app_version, kMarathon},
    {"GET", "/v2/apps/{id...}/tasks", kTask, kRead, h::list_app_tasks, kMarathon},
    {"DELETE", "/v2/apps/{id...}/tasks", kTask, kWrite, h::kill_app_tasks, kMarathon},
    {"DELETE", "/v2/apps/{id...}/tasks/{task}", kTask, kWrite, h::kill_app_task, kMarathon},
    {"GET", "/v2/apps/{id...}", kTask, kRead, h::show_app, kMarathon},
    {"PUT", "/v2/apps/{id...}", kTask, kWrite, h::put_app, kMarathon},
    {"PATCH", "/v2/apps/{id...}", kTask, kWrite, h::put_app, kMarathon},
    {"DELETE", "/v2/apps/{id...}", kTask, kWrite, h::remove_app, kMarathon},
    {"GET", "/v2/groups", kTask, kRead, h::show_app_group, kMarathon},
    {"POST", "/v2/groups", kTask, kWrite, h::create_app_group, kMarathon},
    {"PUT", "/v2/groups", kTask, kWrite, h::put_app_group, kMarathon},
    {"DELETE", "/v2/groups", kTask, kWrite, h::remove_app_group, kMarathon},
    {"GET", "/v2/groups/apps", kTask, kRead, h::list_group_apps, kMarathon},
    {"GET", "/v2/groups/versions", kTask, kRead, h::list_group_versions, kMarathon},
    {"GET", "/v2/groups/versions/{version}", kTask, kRead, h::show_group_version, kMarathon},
    {"GET", "/v2/groups/{id...}/apps", kTask, kRead, h::list_group_apps, kMarathon},
    {"GET", "/v2/groups/{id...}/versions", kTask, kRead, h::list_group_versions, kMarathon},
    {"GET", "/v2/groups/{id...}/versions/{version}", kTask, kRead, h::show_group_version, kMarathon},
    {"GET", "/v2/groups/{id...}", kTask, kRead, h::show_app_group, kMarathon},
    {"POST", "/v2/groups/{id...}", kTask, kWrite, h::create_app_group, kMarathon},
    {"PUT", "/v2/groups/{id...}", kTask, kWrite, h::put_app_group, kMarathon},
    {"PATCH", "/v2/groups/{id...}", kTask, kWrite, h::patch_app_group, kMarathon},
    {"DELETE", "/v2/groups/{id...}", kTask, kWrite, h::remove_app_group, kMarathon},
    {"GET", "/v2/tasks", kTask, kRead, h::list_tasks, kMarathon},
    {"POST", "/v2/tasks/delete", kTask, kWrite, h::delete_tasks, kMarathon},
    {"GET", "/v2/deployments", kTask, kRead, h::list_deployments, kMarathon},
    {"DELETE", "/v2/deployments/{id}", kTask, kWrite, h::remove_deployment, kMarathon},
    {"GET", "/v2/queue", kTask, kRead, h::list_queue, kMarathon},
    {"DELETE", "/v2/queue/{id...}/delay", kTask, kWrite, h::reset_delay, kMarathon},
    {"GET", "/v2/events", kUser, kEvents, h::marathon_event_stream, kMarathon},
    {"GET", "/v2/info", kTask, kRead, h::marathon_info, kMarathon},
    {"GET", "/v2/leader", kTask, kRead, h::marathon_leader, kMarathon},
};

std::string_view access_name(Access access) {
    if (access == Access::kAnonymous) return "anonymous";
    return access == Access::kUser ? "user" : "task";
}

constexpr std::string_view kMarathonPrefixes[] = {"/service/marathon/", "/marathon/"};

}  // namespace

std::span<const Route> routes() {
    return kRoutes;
}

std::string_view route_path(std::string_view path) {
    for (const std::string_view prefix : kMarathonPrefixes) {
        if (path.starts_with(prefix)) return path.substr(prefix.size() - 1);
    }
    return path;
}

namespace handlers {

// What there is to call: the table above, as this server has it.
Answer list_routes(Call& call) {
    CO_TRY(call.require_some_rule(core::Action::kView));
    core::Json list = core::Json::array();
    for (const Route& route : routes()) {
        list.push(core::Json::object()
                      .set("method", route.method)
                      .set("path", route.pattern)
                      .set("access", access_name(route.access)));
    }
    co_return json_reply(200, core::Json::object().set("routes", std::move(list)));
}

}  // namespace handlers

}  // namespace smackd::services
