#include <format>

#include "auth/sealing.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

const std::vector<Column> kUserColumns{
    {"NAME", "name"}, {"FULL NAME", "full_name"}, {"GROUPS", "groups"}, {"DISABLED", "disabled"}};
const Positional kName{"NAME", "the user's name, as in NAME@REALM"};
const Option kPasswordStdin{"--password-stdin", "",
                            "read the password from the first line of standard input"};

core::Result<void> user_add(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    core::Json body = core::Json::object();
    body.set("name", name).set("full_name", context.arguments.value("--full-name"));
    std::string password;
    if (context.arguments.has("--password") || context.arguments.has("--password-stdin")) {
        TRY_ASSIGN(password, read_password(context, std::format("Password of {}", name), true));
        body.set("password", password);
    }
    auto answer = client->call("POST", "/smack/v1/users", std::move(body));
    auth::wipe(password);
    if (!answer) return core::pass(std::move(answer));
    context.output.say(std::format("Added user {}.", name));
    context.output.document(*answer);
    return {};
}

core::Result<void> user_list(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/users"));
    context.output.table("users", answer["users"], kUserColumns, "No users.");
    return {};
}

core::Result<void> user_show(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get(resource("users", context.arguments.value("NAME"))));
    context.output.record(answer, kUserColumns);
    return {};
}

core::Result<void> user_remove(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY(client->call("DELETE", resource("users", name), std::nullopt));
    context.output.say(std::format("Removed user {} and its Kerberos principal.", name));
    context.output.document(core::Json::object().set("removed", name));
    return {};
}

core::Result<void> user_passwd(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    core::Json body = core::Json::object();
    TRY_ASSIGN(core::Json me, client->get("/smack/v1/whoami"));
    bool own = me["user"].as_string() == name;
    if (own) {  // a ticket left open on a desk must not be enough to take the account over
        TRY_ASSIGN(std::string current, read_password(context, "Your current password", false));
        body.set("current_password", current);
        auth::wipe(current);
    }
    TRY_ASSIGN(std::string password, read_password(context, std::format("New password of {}", name), true));
    body.set("password", password);
    auto answer = client->call("POST", resource("users", name) + "/password", std::move(body));
    auth::wipe(password);
    if (!answer) return core::pass(std::move(answer));
    context.output.say(std::format("Changed the password of {}.", name));
    context.output.document(core::Json::object().set("changed", name));
    return {};
}

core::Result<void> user_keytab(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY_ASSIGN(std::string keytab,
               client->call_raw("POST", resource("users", name) + "/keytab", core::Json::object()));
    return write_keytab(context, context.arguments.value("--out", name + ".keytab"), keytab);
}

core::Result<void> set_disabled(Context& context, bool disabled) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string name = context.arguments.value("NAME");
    TRY_ASSIGN(core::Json user, client->get(resource("users", name)));
    core::Json body = core::Json::object();
    body.set("full_name", user["full_name"].as_string()).set("disabled", disabled);
    TRY_ASSIGN(core::Json answer, client->call("PUT", resource("users", name), std::move(body)));
    context.output.say(std::format("User {} is {}.", name, disabled ? "disabled" : "enabled"));
    context.output.document(answer);
    return {};
}

core::Result<void> user_enable(Context& context) {
    return set_disabled(context, false);
}
core::Result<void> user_disable(Context& context) {
    return set_disabled(context, true);
}

}  // namespace

std::vector<Command> user_commands() {
    return {
        {"user add",
         "adds a user, with the embedded realm also the Kerberos principal",
         "smackd user add alice --full-name 'Alice Example' --password",
         {kName},
         with_server_options(
             {{"--full-name", "TEXT", "for people"},
              {"--password", "", "ask for a password (else the user gets a random key: user keytab)"},
              kPasswordStdin}),
         user_add},
        {"user list", "lists the users", "smackd user list", {}, with_server_options(), user_list},
        {"user show", "shows a user", "smackd user show alice", {kName}, with_server_options(), user_show},
        {"user remove",
         "removes a user and its principal",
         "smackd user remove alice",
         {kName},
         with_server_options(),
         user_remove},
        {"user passwd",
         "sets a user's password (your own, or with the right 'admin')",
         "smackd user passwd alice",
         {kName},
         with_server_options({kPasswordStdin}),
         user_passwd},
        {"user keytab",
         "makes new random keys for a user and writes them to a keytab",
         "smackd user keytab alice --out alice.keytab",
         {kName},
         with_server_options({{"--out", "FILE", "where to (default NAME.keytab; - is standard output)"}}),
         user_keytab},
        {"user enable",
         "lets a disabled user in again",
         "smackd user enable alice",
         {kName},
         with_server_options(),
         user_enable},
        {"user disable",
         "keeps a user out without removing it",
         "smackd user disable alice",
         {kName},
         with_server_options(),
         user_disable},
    };
}

}  // namespace smackd::cmd
