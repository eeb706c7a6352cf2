#include "core/policy.h"

#include <algorithm>
#include <format>
#include <iterator>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kRuleColumns{
    {"ID", "id"}, {"SUBJECT", "subject"}, {"ACTIONS", "actions"}, {"TENANT", "tenant"}, {"PATH", "path"}};
const Option kTenant{"--tenant", "NAME", "tenant (default: * for all)"};
const Positional kFrom{"FROM", "tenant whose tasks begin"};
const Positional kTo{"TO", "tenant whose tasks are reached"};
const Option kPath{"--path", "PATH", "path below it (default: / for all)"};

core::Result<void> check_actions(Context& context, const core::Json& actions) {
    if (actions.as_array().empty()) return context.usage("at least one --allow ACTION is needed");
    for (const core::Json& action : actions.as_array()) {
        auto parsed = core::parse_action(action.as_string());
        if (!parsed) return context.usage(parsed.error().message);
    }
    return {};
}

core::Result<void> policy_add(Context& context) {
    core::Json actions = list_of(context.arguments.all("--allow"));
    TRY(check_actions(context, actions));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string id = context.arguments.value("ID");
    core::Json body = core::Json::object();
    body.set("subject", context.arguments.value("SUBJECT")).set("actions", std::move(actions));
    body.set("tenant", context.arguments.value("--tenant", "*"))
        .set("path", context.arguments.value("--path", "/"));
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("rules", id), std::move(body)));
    context.output.say(std::format("Rule {} is in force.", id));
    context.output.document(answer);
    return {};
}

core::Result<void> policy_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/rules"));
    context.output.table("rules", answer["rules"], kRuleColumns, "No rules: nobody may do anything.");
    return {};
}

core::Result<void> policy_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string id = context.arguments.value("ID");
    TRY(client->call("DELETE", resource("rules", id), std::nullopt));
    context.output.say(std::format("Removed rule {}.", id));
    context.output.document(core::Json::object().set("removed", id));
    return {};
}

core::Result<void> policy_check(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string target = std::format("/smack/v1/policy/check?user={}&action={}&tenant={}&path={}",
                                     net::http::percent_encode(context.arguments.value("USER")),
                                     net::http::percent_encode(context.arguments.value("ACTION")),
                                     net::http::percent_encode(context.arguments.value("--tenant", "*")),
                                     net::http::percent_encode(context.arguments.value("--path", "/")));
    TRY_ASSIGN(core::Json answer, client->get(target));
    bool allowed = answer["allowed"].as_bool();
    context.output.say(allowed ? std::format("Allowed by rule {}.", cell_text(answer["rule"]))
                               : std::format("Refused: {}", cell_text(answer["message"])));
    context.output.document(answer);
    if (!allowed) context.exit_code = kExitRefused;
    return {};
}

core::Result<void> tenant_add(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string name = context.arguments.value("NAME");
    core::Json body = core::Json::object().set("paths", list_of(context.arguments.all("PATH")));
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("tenants", name), std::move(body)));
    context.output.say(std::format("Tasks of tenant {} are kept apart from other tenants'.", name));
    context.output.document(answer);
    return {};
}

core::Result<void> tenant_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/tenants"));
    context.output.table("tenants", answer["tenants"], {{"NAME", "name"}, {"PATHS", "paths"}},
                         "No tenants: all tasks reach each other.");
    return {};
}

core::Result<void> tenant_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    const std::string name = context.arguments.value("NAME");
    TRY(client->call("DELETE", resource("tenants", name), std::nullopt));
    context.output.say(std::format("Tenant {} is no more; its tasks are common.", name));
    context.output.document(core::Json::object().set("removed", name));
    return {};
}

std::string pair_of(Context& context) {
    return context.arguments.value("FROM") + ":" + context.arguments.value("TO");
}

core::Result<void> tenant_allow(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    core::Json body = core::Json::object().set("ports", list_of(context.arguments.all("--port")));
    TRY_ASSIGN(core::Json answer,
               client->call("PUT", resource("allowances", pair_of(context)), std::move(body)));
    context.output.say(std::format("Tasks of {} reach those of {}{}.", context.arguments.value("FROM"),
                                   context.arguments.value("TO"),
                                   context.arguments.has("--port") ? " at these ports" : ""));
    context.output.document(answer);
    return {};
}

core::Result<void> tenant_allowed(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/allowances"));
    context.output.table("allowances", answer["allowances"],
                         {{"FROM", "from"}, {"TO", "to"}, {"PORTS", "ports"}},
                         "No tenant's tasks reach another's.");
    return {};
}

core::Result<void> tenant_forbid(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY(client->call("DELETE", resource("allowances", pair_of(context)), std::nullopt));
    context.output.say(std::format("Tasks of {} no longer reach those of {}.",
                                   context.arguments.value("FROM"), context.arguments.value("TO")));
    context.output.document(core::Json::object().set("removed", pair_of(context)));
    return {};
}

std::vector<Command> policy_rule_commands() {
    return {
        {"policy add",
         "allows a user, a group or tasks some actions",
         "smackd policy add ops-view group:ops --allow view",
         {{"ID", "name of the rule"},
          {"SUBJECT", "user:NAME, group:NAME, user:* (every user) or task:PATH (tasks of the apps there)"}},
         with_server_options({{"--allow", "ACTION", "view, launch, change, kill, exec, host or admin", true},
                              kTenant,
                              kPath}),
         policy_add},
        {"policy list", "lists the rules", "smackd policy list", {}, with_server_options(), policy_list},
        {"policy remove",
         "removes a rule",
         "smackd policy remove ops-view",
         {{"ID", "name of the rule"}},
         with_server_options(),
         policy_remove},
        {"policy check",
         "says whether a user may do something, and by which rule",
         "smackd policy check alice view --path /web",
         {{"USER", "the user"}, {"ACTION", "view, launch, change, kill, exec, host or admin"}},
         with_server_options({kTenant, kPath}),
         policy_check},
    };
}

std::vector<Command> tenant_commands() {
    return {
        {"tenant add",
         "keeps the tasks below some paths apart from other tenants', on the network and in DNS",
         "smackd tenant add team-a /team-a",
         {{"NAME", "name of the tenant"}, {"PATH", "path of its apps and groups", true, true}},
         with_server_options(),
         tenant_add},
        {"tenant list", "lists the tenants", "smackd tenant list", {}, with_server_options(), tenant_list},
        {"tenant remove",
         "lets a tenant's tasks and all others reach each other again",
         "smackd tenant remove team-a",
         {{"NAME", "name of the tenant"}},
         with_server_options(),
         tenant_remove},
        {"tenant allow",
         "lets a tenant's tasks reach another's, at all ports or at some of the tasks' own",
         "smackd tenant allow team-a team-b --port 8080 --port 53/udp",
         {kFrom, kTo},
         with_server_options({{"--port", "PORT", "as the task has it: 8080, 8080/tcp, 53/udp", true}}),
         tenant_allow},
        {"tenant allowed",
         "lists which tenants' tasks reach which others'",
         "smackd tenant allowed",
         {},
         with_server_options(),
         tenant_allowed},
        {"tenant forbid",
         "takes back what tenant allow gave; connections end, too",
         "smackd tenant forbid team-a team-b",
         {kFrom, kTo},
         with_server_options(),
         tenant_forbid},
    };
}

}  // namespace

std::vector<Command> policy_commands() {
    std::vector<Command> commands = policy_rule_commands();
    std::ranges::copy(tenant_commands(), std::back_inserter(commands));
    return commands;
}

}  // namespace smackd::cmd
