// /smack/v1/tenants: whose tasks are kept apart; /smack/v1/allowances: which tenants' tasks reach another's
// all the same. Both are settings of the state (services/apps/tenant_rows.h).
#include "core/names.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"
#include "services/api/settings.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services::handlers {

using core::Action;
using core::Errc;
using core::Json;
using core::Result;

namespace {

Json strings_json(const std::vector<std::string>& strings) {
    Json list = Json::array();
    for (const std::string& one : strings) list.push(one);
    return list;
}

std::string setting_of(const std::string& tenant) {
    return std::string(kTenantPrefix) + tenant;
}

std::string number_setting(uint32_t number) {
    return std::format("{}{}", kTenantNumberPrefix, number);
}

/// The row that makes the number the tenant's, unless it is there: nobody else can have taken it meanwhile.
Result<void> add_number(wire::Command& command, const AppsModel& model, const apps::Tenants& tenants,
                        const std::string& name) {
    const uint32_t number = tenants.number_for(name);
    if (number == 0) return core::fail(Errc::kBusy, "no number is free for a tenant");
    std::string setting = number_setting(number);
    if (model.names.contains(setting)) return {};
    auto* expect = command.add_expected();
    expect->set_kind("setting");
    expect->set_key(setting);
    add_setting(command, std::move(setting), name);
    return {};
}

struct Pair {
    std::string from;
    std::string to;
};

Result<Pair> pair_of(const std::string& text) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos)
        return core::fail(Errc::kInvalid, "'{}': must be FROM:TO, two tenants", text.substr(0, 64));
    return Pair{text.substr(0, colon), text.substr(colon + 1)};
}

std::string allow_setting(const Pair& pair) {
    return std::format("{}{}:{}", kTenantAllowPrefix, pair.from, pair.to);
}

/// No ports: all of them.
Result<apps::Tenants::Ports> ports_from(const Json& body) {
    apps::Tenants::Ports ports;
    for (const Json& text : body["ports"].as_array()) {
        TRY_ASSIGN(const apps::TenantPort port, apps::parse_tenant_port(text.as_string()));
        ports.push_back(port);
    }
    return ports.empty() ? apps::Tenants::all_ports() : ports;
}

std::vector<std::string> port_texts(const apps::Tenants::Ports& ports) {
    std::vector<std::string> texts;
    for (const apps::TenantPort& port : ports)
        texts.push_back(port.port == 0 ? std::string(kEveryPort) : apps::format_tenant_port(port));
    return texts;
}

bool sees(Call& call, const apps::Tenants& tenants, const std::string& name) {
    const auto found = tenants.all().find(name);
    return found != tenants.all().end() && std::ranges::any_of(found->second, [&](const std::string& path) {
               return call.may(Action::kView, path);
           });
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
        if (sees(call, all, name))
            tenants.push(Json::object().set("name", name).set("paths", strings_json(paths)));
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
    const apps::Tenants tenants = tenants_of(*model);
    CO_TRY(tenants.check(name, paths));
    std::string value;
    for (const std::string& path : paths) value += (value.empty() ? "" : ",") + path;
    wire::Command command = make_command(call);
    add_setting(command, setting_of(name), std::move(value));
    CO_TRY(add_number(command, *model, tenants, name));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "setting", .key = setting_of(name)}));
    co_return changed_reply(200, revision);
}

Answer remove_tenant(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    const std::string name = call.argument();
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const apps::Tenants tenants = tenants_of(*model);
    if (!tenants.all().contains(name))
        co_return core::fail(Errc::kNotFound, "no tenant '{}'", name.substr(0, 64));
    wire::Command command = make_command(call);
    add_setting(command, setting_of(name), "");
    const std::string number = number_setting(tenants.number_for(name));
    if (model->names.contains(number)) add_setting(command, number, "");
    for (const auto& [pair, ports] : tenants.allowances()) {
        if (pair.first == name || pair.second == name)
            add_setting(command, allow_setting({pair.first, pair.second}), "");
    }
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "setting", .key = setting_of(name)}));
    co_return changed_reply(200, revision);
}

/// Those of tenants the caller sees.
Answer list_allowances(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const apps::Tenants tenants = tenants_of(*model);
    Json list = Json::array();
    for (const auto& [pair, ports] : tenants.allowances()) {
        if (!sees(call, tenants, pair.first) && !sees(call, tenants, pair.second)) continue;
        list.push(Json::object()
                      .set("from", pair.first)
                      .set("to", pair.second)
                      .set("ports", strings_json(port_texts(ports))));
    }
    co_return json_reply(200, Json::object().set("allowances", std::move(list)));
}

Answer put_allowance(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    CO_TRY_ASSIGN(const Pair pair, pair_of(call.argument()));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    CO_TRY_ASSIGN(const apps::Tenants::Ports ports, ports_from(body));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    CO_TRY(tenants_of(*model).check_allowance(pair.from, pair.to, ports));
    std::string setting = allow_setting(pair);
    CO_TRY(core::check_key("the names of both tenants", setting));
    std::string value;
    for (const std::string& text : port_texts(ports)) value += (value.empty() ? "" : ",") + text;
    co_return co_await put_setting(call, std::move(setting), std::move(value));
}

Answer remove_allowance(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    CO_TRY_ASSIGN(const Pair pair, pair_of(call.argument()));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!tenants_of(*model).allowances().contains({pair.from, pair.to}))
        co_return core::fail(Errc::kNotFound, "'{}' is not allowed to reach '{}'", pair.from.substr(0, 64),
                             pair.to.substr(0, 64));
    co_return co_await put_setting(call, allow_setting(pair), "");
}

}  // namespace smackd::services::handlers
