#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kMachineColumns{
    {"NAME", "name"}, {"ROLES", "roles"}, {"STATE", "state"}, {"ATTRIBUTES", "attributes"}};
const Positional kName{"NAME", "the machine's host name"};

core::Result<core::Json> attributes_of(Context& context) {
    core::Json attributes = core::Json::object();
    for (const std::string& pair : context.arguments.all("--attribute")) {
        size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0) {
            return context.usage(std::format("--attribute '{}' must be of the form KEY=VALUE", pair));
        }
        attributes.set(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return attributes;
}

core::Result<void> machine_add(Context& context) {
    TRY_ASSIGN(core::Json attributes, attributes_of(context));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    core::Json roles = list_of(context.arguments.all("--role"));
    if (roles.as_array().empty()) roles.push("agent");
    core::Json body = core::Json::object();
    body.set("name", name).set("roles", std::move(roles)).set("attributes", std::move(attributes));
    TRY_ASSIGN(core::Json answer, client->call("POST", "/smack/v1/machines", std::move(body)));
    context.output.say(
        std::format("Registered machine {}. Its keytab: smackd machine keytab {}", name, name));
    context.output.document(answer);
    return {};
}

core::Result<void> machine_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/machines"));
    context.output.table("machines", answer["machines"], kMachineColumns, "No machines.");
    return {};
}

core::Result<void> machine_show(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get(resource("machines", context.arguments.value("NAME"))));
    context.output.record(answer, kMachineColumns);
    return {};
}

core::Result<void> machine_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY(client->call("DELETE", resource("machines", name), std::nullopt));
    context.output.say(std::format("Removed machine {} from the registry.", name));
    context.output.document(core::Json::object().set("removed", name));
    return {};
}

core::Result<void> machine_suspend(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    bool resume = context.arguments.has("--resume");
    TRY_ASSIGN(core::Json machine, client->get(resource("machines", name)));
    core::Json body = core::Json::object();
    body.set("roles", machine["roles"]).set("attributes", machine["attributes"]);
    body.set("generation", machine["generation"]).set("state", resume ? "allowed" : "suspended");
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("machines", name), std::move(body)));
    context.output.say(std::format("Machine {} is {}.", name, resume ? "allowed" : "suspended"));
    context.output.document(answer);
    return {};
}

core::Result<void> machine_keytab(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY_ASSIGN(std::string keytab,
               client->call_raw("POST", resource("machines", name) + "/keytab", core::Json::object()));
    return write_keytab(context, context.arguments.value("--out", name + ".keytab"), keytab);
}

}  // namespace

std::vector<Command> machine_commands() {
    return {
        {"machine add",
         "puts a machine into the registry",
         "smackd machine add n2.example.org --role agent",
         {kName},
         with_server_options({{"--role", "ROLE", "server, agent or public (default agent)", true},
                              {"--attribute", "KEY=VALUE", "for placement", true}}),
         machine_add},
        {"machine list",
         "lists the registered machines",
         "smackd machine list",
         {},
         with_server_options(),
         machine_list},
        {"machine show",
         "shows a machine",
         "smackd machine show n2.example.org",
         {kName},
         with_server_options(),
         machine_show},
        {"machine remove",
         "removes a machine; its certificate is worth nothing from then on",
         "smackd machine remove n2.example.org",
         {kName},
         with_server_options(),
         machine_remove},
        {"machine suspend",
         "keeps a machine out without removing it",
         "smackd machine suspend n2.example.org",
         {kName},
         with_server_options({{"--resume", "", "lets it in again"}}),
         machine_suspend},
        {"machine keytab",
         "makes new keys for a machine (embedded realm) and writes them to a keytab",
         "smackd machine keytab n2.example.org --out n2.keytab",
         {kName},
         with_server_options({{"--out", "FILE", "where to (default NAME.keytab; - is standard output)"}}),
         machine_keytab},
    };
}

}  // namespace smackd::cmd
