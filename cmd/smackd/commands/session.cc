#include <format>

#include "auth/sealing.h"
#include "auth/secret_file.h"
#include "cmd/smackd/client/session_file.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"

namespace smackd::cmd {
namespace {

// A password must reach nobody but the server it is for: not in clear over a network, not to an unproved
// server.
core::Result<void> check_password_way(const ServerAddress& server) {
    bool local = !server.unix_path.empty() || server.host == "localhost" || server.host.starts_with("127.") ||
                 server.host == "::1";
    if (!server.tls && !local) {
        return core::fail(core::Errc::kDenied, "a password is never sent over plain HTTP; use https://{}:{}",
                          server.host, server.port);
    }
    if (server.tls && server.ca_pem.empty()) {
        return core::fail(
            core::Errc::kDenied,
            "this machine does not know the cluster's certificate authority yet, so the server cannot be "
            "told from an impostor; log in once with a ticket or keytab, or give --ca FILE");
    }
    return {};
}

core::Result<core::Json> login_by_password(Context& context, ApiClient& client) {
    TRY(check_password_way(client.server()));
    std::string user = context.arguments.value("--user");
    TRY_ASSIGN(std::string password, read_password(context, std::format("Password of {}", user), false));
    core::Json body = core::Json::object();
    body.set("user", user).set("password", password);
    client.use_nothing();
    auto answer = client.call("POST", "/smack/v1/login", std::move(body));
    auth::wipe(password);
    return answer;
}

core::Result<void> login(Context& context) {
    bool by_password = context.arguments.has("--user");
    if (by_password && context.arguments.has("--keytab"))
        return context.usage("give --user or --keytab, not both");
    if (context.arguments.has("--password-stdin") && !by_password) {
        return context.usage("--password-stdin needs --user NAME");
    }
    TRY_ASSIGN(ServerAddress server, find_server(context.arguments));
    if (context.arguments.has("--ca")) {
        TRY_ASSIGN(server.ca_pem, read_ca_file(context.arguments.value("--ca")));
    }
    ApiClient client(std::move(server));
    if (context.arguments.has("--keytab")) {
        TRY_ASSIGN(SharedCredential credential, keytab_credential(context.arguments.value("--keytab"),
                                                                  context.arguments.value("--principal")));
        client.use(std::move(credential));
    } else {
        client.forget_token();
    }
    auto answer = by_password ? login_by_password(context, client)
                              : client.call("POST", "/smack/v1/login", core::Json::object());
    if (!answer) return core::pass(std::move(answer));
    Session session;
    session.server = client.server().to_string();
    session.token = (*answer)["token"].as_string();
    session.principal = (*answer)["principal"].as_string();
    session.expires_s = (*answer)["expires_s"].as_integer();
    session.ca_pem = client.server().tls ? (*answer)["ca_pem"].as_string() : std::string();
    if (context.arguments.has("--token-file")) {
        TRY(auth::write_secret_file(context.arguments.value("--token-file"), session.token));
    } else {
        TRY(save_session(session));
    }
    context.output.say(std::format("Signed in as {} at {}.", session.principal, session.server));
    core::Json document;
    document.set("principal", session.principal)
        .set("server", session.server)
        .set("expires_s", session.expires_s);
    context.output.document(document);
    return {};
}

core::Result<void> logout(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    std::string server = client->server().to_string();
    auto session = load_session(server);
    if (!session) {
        context.output.say(std::format("You were not signed in at {}.", server));
    } else {
        // A token that is already worth nothing needs no revoking.
        auto revoked = client->call("POST", "/smack/v1/logout", core::Json::object());
        TRY(remove_session(server));
        if (!revoked && revoked.error().code != core::Errc::kUnauthenticated)
            return core::pass(std::move(revoked));
        context.output.say(std::format("Signed out at {}; the token is revoked.", server));
    }
    context.output.document(core::Json::object().set("server", server));
    return {};
}

core::Result<void> whoami(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/whoami"));
    context.output.record(
        answer,
        {{"principal", "principal"}, {"user", "user"}, {"groups", "groups"}, {"signed in by", "method"}});
    return {};
}

}  // namespace

std::vector<Command> session_commands() {
    return {
        {"login",
         "trades a ticket, keytab or password for a short-lived token",
         "smackd login --user alice",
         {},
         with_server_options(
             {{"--keytab", "FILE", "sign in with a key of this keytab"},
              {"--principal", "NAME", "which principal of the keytab"},
              {"--user", "NAME", "sign in with this user's password (asked for)"},
              {"--password-stdin", "", "read the password from the first line of standard input"},
              {"--ca", "FILE", "the cluster's certificate authority, when known by other means"},
              {"--token-file", "FILE",
               "writes the bare token there (mode 0600), for Prometheus and the like, and remembers "
               "nothing"}}),
         login},
        {"logout",
         "revokes the token of 'login' and forgets it",
         "smackd logout",
         {},
         with_server_options(),
         logout},
        {"whoami", "shows who the server takes you for", "smackd whoami", {}, with_server_options(), whoami},
    };
}

}  // namespace smackd::cmd
