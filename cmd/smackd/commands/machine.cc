#include <format>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kMachineColumns{
    {"NAME", "name"}, {"ROLES", "roles"}, {"STATE", "state"}, {"ATTRIBUTES", "attributes"}};
const std::vector<Column> kPendingColumns{{"NAME", "name"},
                                          {"PRINCIPAL", "principal"},
                                          {"FROM", "source"},
                                          {"VERSION", "version"},
                                          {"TIMES", "times"}};
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

core::Result<void> machine_bundle(ApiClient& client, Context& context, const std::string& name) {
    TRY_ASSIGN(core::Json bundle,
               client.call("POST", resource("machines", name) + "/bundle", core::Json::object()));
    const std::string path = context.arguments.value("--bundle");
    TRY(write_secret(path, bundle.dump_pretty() + "\n"));
    if (path == "-") return {};
    context.output.say(std::format("Wrote {} (mode 0600): on {}, run: smackd join {}", path, name, path));
    context.output.document(core::Json::object().set("bundle", path));
    return {};
}

core::Result<void> machine_add(Context& context) {
    TRY_ASSIGN(core::Json attributes, attributes_of(context));
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    core::Json roles = list_of(context.arguments.all("--role"));
    if (roles.as_array().empty()) roles.push("agent");
    core::Json body = core::Json::object();
    body.set("name", name).set("roles", std::move(roles)).set("attributes", std::move(attributes));
    auto answer = client->call("POST", "/smack/v1/machines", std::move(body));
    const bool bundle = context.arguments.has("--bundle");
    // Asking again for a bundle is no mistake; what is registered stays as it is.
    const bool again = !answer && bundle && answer.error().code == core::Errc::kConflict;
    if (!answer && !again) return core::pass(std::move(answer));
    if (bundle) return machine_bundle(*client, context, name);
    context.output.say(
        std::format("Registered machine {}. It joins with a bundle (smackd machine add {} --bundle FILE) or "
                    "with its keytab "
                    "(smackd machine keytab {}).",
                    name, name, name));
    context.output.document(*answer);
    return {};
}

core::Result<void> machine_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    if (context.arguments.has("--pending")) {
        TRY_ASSIGN(core::Json pending, client->get("/smack/v1/pending-machines"));
        context.output.table("machines", pending["machines"], kPendingColumns, "No machine asks to join.");
        return {};
    }
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

core::Result<void> set_state(Context& context, bool allowed) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY_ASSIGN(core::Json machine, client->get(resource("machines", name)));
    core::Json body = core::Json::object();
    body.set("roles", machine["roles"]).set("attributes", machine["attributes"]);
    body.set("generation", machine["generation"]).set("state", allowed ? "allowed" : "suspended");
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("machines", name), std::move(body)));
    context.output.say(std::format("Machine {} is {}.", name, allowed ? "allowed" : "suspended"));
    context.output.document(answer);
    return {};
}

core::Result<void> machine_suspend(Context& context) {
    return set_state(context, false);
}

core::Result<void> machine_resume(Context& context) {
    return set_state(context, true);
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
         with_server_options(
             {{"--role", "ROLE", "server, agent or public (default agent)", true},
              {"--attribute", "KEY=VALUE", "for placement", true},
              {"--bundle", "FILE",
               "also makes new keys and writes all that smackd join needs (- is standard output)"}}),
         machine_add},
        {"machine list",
         "lists the registered machines",
         "smackd machine list",
         {},
         with_server_options({{"--pending", "", "those that asked to join and are not registered"}}),
         machine_list},
        {"machine show",
         "shows a machine",
         "smackd machine show n2.example.org",
         {kName},
         with_server_options(),
         machine_show},
        {"machine remove",
         "removes a machine and its node; its connections end at once",
         "smackd machine remove n2.example.org",
         {kName},
         with_server_options(),
         machine_remove},
        {"machine suspend",
         "keeps a machine out without removing it",
         "smackd machine suspend n2.example.org",
         {kName},
         with_server_options(),
         machine_suspend},
        {"machine resume",
         "lets a suspended machine in again",
         "smackd machine resume n2.example.org",
         {kName},
         with_server_options(),
         machine_resume},
        {"machine keytab",
         "makes new keys for a machine (embedded realm) and writes them to a keytab",
         "smackd machine keytab n2.example.org --out n2.keytab",
         {kName},
         with_server_options({{"--out", "FILE", "where to (default NAME.keytab; - is standard output)"}}),
         machine_keytab},
    };
}

}  // namespace smackd::cmd
