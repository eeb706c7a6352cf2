// Signing in and out: a ticket or password becomes a short-lived token, as JSON or as the dashboard's cookie.
#include "auth/sealing.h"
#include "core/apps/tenants.h"
#include "services/api/directory.h"
#include "services/api/fields.h"
#include "services/api/handlers.h"
#include "services/api/principals.h"
#include "services/api/reply.h"

namespace smackd::services::handlers {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using net::Task;
using net::http::Response;

namespace {

struct LoginBody {
    std::string user;
    std::string password;
    bool cookie = false;
};

Result<LoginBody> parse_login(const Json& body) {
    Fields fields(body);
    LoginBody login;
    login.user = fields.text("user");
    login.password = fields.text("password");
    login.cookie = fields.boolean("cookie");
    TRY(fields.finish());
    if (login.user.empty() != login.password.empty()) {
        return fail(Errc::kInvalid, "user and password: must be given together");
    }
    return login;
}

std::string source_of(const Call& call) {
    return call.connection.peer.substr(0, call.connection.peer.rfind(':'));
}

/// Records a refusal at this door and gives its error back.
std::unexpected<core::Error> refuse(Call& call, SignInRefusal refusal) {
    call.api.record_refusal(refusal.reason, refusal.principal, call.request, call.connection, refusal.error);
    call.refusal_token = std::move(refusal.gss_token);
    return std::unexpected(std::move(refusal.error));
}

/// Who signs in: by password when the body has one, else by ticket. A token does not beget another.
Task<SignInResult<Proof>> prove(Call& call, LoginBody login) {
    SignIn& sign_in = call.api.sign_in;
    if (!login.user.empty()) {
        // A form on another site must not sign somebody in as somebody else.
        auto same_site = SignIn::check_cross_site(call.request, call.connection, true);
        if (!same_site) co_return std::unexpected(std::move(same_site.error()));
        call.no_negotiate = true;
        auto proof = co_await sign_in.prove_password(std::move(login.user), std::move(login.password),
                                                     source_of(call));
        co_return proof;
    }
    auto proof = co_await sign_in.prove(call.request, call.connection);
    if (proof && !proof->token.id.empty()) {
        co_return std::unexpected(SignInRefusal{
            {Errc::kUnauthenticated, "a token is not traded for another: sign in by ticket or password", 0},
            RefusalClass::kToken,
            proof->identity.principal,
            {}});
    }
    co_return proof;
}

Task<Result<Caller>> admit(Call& call, LoginBody login) {
    auto proof = co_await prove(call, std::move(login));
    if (!proof) co_return refuse(call, std::move(proof.error()));
    call.reply_token = proof->reply_token;
    CO_TRY_ASSIGN(call.view, co_await call.api.cache.current());
    auto followed = co_await follow_directory(call, *proof);
    if (!followed) co_return refuse(call, std::move(followed.error()));
    auto caller = SignIn::admit(std::move(*proof), call.view->policy);
    if (!caller) co_return refuse(call, std::move(caller.error()));
    co_return std::move(*caller);
}

Task<Result<auth::IssuedToken>> issue(Call& call, std::string principal) {
    ApiContext& api = call.api;
    if (api.options.token_keys.empty())
        co_return fail(Errc::kUnavailable, "this server has no key to sign tokens with yet");
    // A copy: the keys may be rotated while the worker signs.
    const auth::TokenKey key = api.options.token_keys.front();
    auto issued = co_await api.environment.workers.run<auth::IssuedToken>(api.environment.loop, [&] {
        return auth::issue_token(key, api.options.cluster_id, principal, api.environment.clock.wall(),
                                 api.options.token_life_s);
    });
    if (issued) api.metrics.tokens_issued.add();
    co_return issued;
}

}  // namespace

Answer login(Call& call) {
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    CO_TRY_ASSIGN(LoginBody wanted, parse_login(body));
    const bool cookie = wanted.cookie;
    CO_TRY_ASSIGN(const Caller caller, co_await admit(call, std::move(wanted)));
    CO_TRY_ASSIGN(const auth::IssuedToken issued, co_await issue(call, caller.principal()));
    Json json;
    json.set("principal", caller.principal()).set("user", caller.subject.user);
    json.set("expires_s", issued.claims.expires_s).set("cluster_id", call.api.options.cluster_id);
    json.set("ca_pem", call.view->cluster.ca_certificate_pem());
    if (!cookie) json.set("token", issued.text).set("token_type", "Bearer");
    Response response = json_reply(200, json);
    if (cookie) {
        const bool tls = call.connection.tls != nullptr;
        response.headers.add("Set-Cookie",
                             auth::session_cookie(issued.text, call.api.options.token_life_s, tls));
    }
    co_return response;
}

// DC/OS clients: {"uid", "password"} -> {"token"}.
Answer acs_login(Call& call) {
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    Fields fields(body);
    LoginBody wanted;
    wanted.user = fields.required_text("uid");
    wanted.password = fields.required_text("password");
    CO_TRY(fields.finish());
    CO_TRY_ASSIGN(const Caller caller, co_await admit(call, std::move(wanted)));
    CO_TRY_ASSIGN(const auth::IssuedToken issued, co_await issue(call, caller.principal()));
    co_return json_reply(200, Json::object().set("token", issued.text));
}

Answer logout(Call& call) {
    const auth::TokenClaims& token = call.caller->proof.token;
    const bool has_token = !token.id.empty();
    if (has_token) {
        wire::Command command = make_command(call);
        wire::RevokeTokens* revoke = command.add_changes()->mutable_revoke_tokens();
        revoke->set_principal(call.principal());
        revoke->set_token_id(token.id);
        revoke->set_expires_ms((token.expires_s + auth::kTokenSkewSeconds) * 1000);
        CO_TRY(co_await change(call, std::move(command), {}));
    }
    Response response = json_reply(200, Json::object().set("revoked", has_token));
    response.headers.add("Set-Cookie", auth::expired_session_cookie(call.connection.tls != nullptr));
    co_return response;
}

Answer whoami(Call& call) {
    Json groups = Json::array();
    for (const std::string& group : call.subject().groups) groups.push(group);
    Json grants = Json::array();
    for (const core::Rule* rule : call.view->policy.grants(call.subject())) {
        Json actions = Json::array();
        for (const std::string_view name : core::action_names(rule->actions)) actions.push(name);
        grants.push(Json::object()
                        .set("rule", rule->id)
                        .set("actions", std::move(actions))
                        .set("tenant", rule->tenant)
                        .set("path", rule->path));
    }
    const Proof& proof = call.caller->proof;
    Json json;
    json.set("principal", call.principal()).set("user", call.subject().user);
    if (call.subject().is_task()) {
        json.set("task", proof.identity.name).set("app", call.subject().app);
        json.set("tenant", call.subject().tenants->of(call.subject().app));
    }
    json.set("realm", call.view->cluster.realm()).set("groups", std::move(groups));
    json.set("method", sign_in_method_name(proof.method));
    if (proof.token.expires_s != 0) json.set("expires_ms", proof.token.expires_s * 1000);
    json.set("grants", std::move(grants));
    co_return json_reply(200, json);
}

}  // namespace smackd::services::handlers
