// /smack/v1/tenants: whose tasks are kept apart. A tenant is a setting of the state
// (services/apps/tenant_rows.h).
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services::handlers {

using core::Action;
using core::Errc;
using core::Json;

namespace {

Json strings_json(const std::vector<std::string>& strings) {
    Json list = Json::array();
    for (const std::string& one : strings) list.push(one);
    return list;
}

/// An empty value: it is gone.
Answer put_setting(Call& call, std::string name, std::string value) {
    wire::Command command = make_command(call);
    auto* setting = command.add_changes()->mutable_put_setting();
    setting->set_name(name);
    setting->set_value(std::move(value));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "setting", .key = std::move(name)}));
    co_return changed_reply(200, revision);
}

std::string setting_of(const std::string& tenant) {
    return std::string(kTenantPrefix) + tenant;
}

}  // namespace

/// Those that have a path the caller may see; admins see all.
Answer list_tenants(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Json tenants = Json::array();
    const apps::Tenants all = tenants_of(*model);
    for (const auto& [name, paths] : all.all()) {
        const bool shown = std::ranges::any_of(
            paths, [&](const std::string& path) { return call.may(Action::kView, path); });
        if (shown) tenants.push(Json::object().set("name", name).set("paths", strings_json(paths)));
    }
    co_return json_reply(200, Json::object().set("tenants", std::move(tenants)));
}

Answer put_tenant(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    const std::string name = call.argument();
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    std::vector<std::string> paths;
    for (const Json& path : body["paths"].as_array()) paths.push_back(path.as_string());
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    CO_TRY(tenants_of(*model).check(name, paths));
    std::string value;
    for (const std::string& path : paths) value += (value.empty() ? "" : ",") + path;
    co_return co_await put_setting(call, setting_of(name), std::move(value));
}

Answer remove_tenant(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    const std::string name = call.argument();
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!tenants_of(*model).all().contains(name))
        co_return core::fail(Errc::kNotFound, "no tenant '{}'", name.substr(0, 64));
    co_return co_await put_setting(call, setting_of(name), "");
}

}  // namespace smackd::services::handlers
