#include "services/api/sign_in.h"

#include "auth/sealing.h"
#include "core/names.h"
#include "net/tls/session.h"

namespace smackd::services {

using auth::AcceptOutcome;
using auth::AuthScheme;
using core::Errc;
using core::Error;
using net::Task;
using net::http::ConnectionInfo;
using net::http::Request;

namespace {

std::unexpected<SignInRefusal> refuse(RefusalClass reason, Error error, std::string principal = {}) {
    return std::unexpected(SignInRefusal{std::move(error), reason, std::move(principal), {}});
}

bool changes_state(std::string_view method) {
    return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

constexpr const char* kSignInFirst =
    "sign in first: run kinit and send a ticket (curl --negotiate -u :), or run smackd login, or send a "
    "token "
    "(Authorization: Bearer TOKEN)";

core::Result<std::string> session_cookie_of(const Request& request, bool tls) {
    return auth::find_cookie(request.headers.get("Cookie"),
                             tls ? auth::kSecureSessionCookie : auth::kSessionCookie);
}

DirectoryWord word_of(auth::GssPeer& peer) {
    DirectoryWord word;
    word.signed_in_s = peer.signed_in_s;
    word.problem = std::move(peer.logon_problem);
    if (!peer.logon) return word;
    word.there = true;
    word.account = std::move(peer.logon->account);
    word.sids = std::move(peer.logon->group_sids);
    word.full_name = std::move(peer.logon->full_name);
    return word;
}

/// Tasks are no principals of Kerberos, and have no browser.
SignInResult<Proof> identify_task(Proof proof) {
    const auto task = core::task_of_principal(proof.token.subject);
    if (!task)
        return refuse(RefusalClass::kToken, {Errc::kUnauthenticated, "token: its subject is no task", 0});
    if (proof.method == SignInMethod::kCookie)
        return refuse(RefusalClass::kToken, {Errc::kUnauthenticated, "token: a task's is no session", 0},
                      proof.token.subject);
    proof.identity = auth::task_identity(*task);
    return proof;
}

/// The address without the port: "127.0.0.1:4711" -> "127.0.0.1".
std::string host_of(std::string_view peer) {
    return std::string(peer.substr(0, peer.rfind(':')));
}

}  // namespace

std::string_view sign_in_method_name(SignInMethod method) {
    switch (method) {
        case SignInMethod::kTicket:
            return "ticket";
        case SignInMethod::kPassword:
            return "password";
        case SignInMethod::kToken:
            return "token";
        case SignInMethod::kCookie:
            return "session";
        case SignInMethod::kTaskSocket:
            return "task socket";
    }
    return "unknown";
}

Task<SignInResult<Proof>> SignIn::prove(Request& request, ConnectionInfo& connection) {
    const auto fields = request.headers.all("Authorization");
    if (fields.size() > 1) {
        co_return refuse(RefusalClass::kNobody, {Errc::kInvalid, "Authorization: must be sent once", 0});
    }
    const bool tls = connection.tls != nullptr;
    auto authorization = auth::parse_authorization(fields.empty() ? std::string_view{} : fields.front(),
                                                   {.basic = rules_.basic, .tls = tls});
    if (!authorization) co_return refuse(RefusalClass::kNobody, std::move(authorization.error()));

    if (authorization->scheme == AuthScheme::kToken) {
        auto proof = co_await prove_token(std::move(authorization->token), SignInMethod::kToken);
        co_return proof;
    }
    // What follows a browser sends by itself.
    const bool none = authorization->scheme == AuthScheme::kNone;
    auto cookie = none ? session_cookie_of(request, tls) : core::Result<std::string>();
    if (!cookie) co_return refuse(RefusalClass::kToken, std::move(cookie.error()));
    if (none && cookie->empty())
        co_return refuse(RefusalClass::kNobody, {Errc::kUnauthenticated, kSignInFirst, 0});
    auto same_site = check_cross_site(request, connection, true);
    if (!same_site) co_return std::unexpected(std::move(same_site.error()));
    if (none) {
        auto proof = co_await prove_token(std::move(*cookie), SignInMethod::kCookie);
        co_return proof;
    }
    if (authorization->scheme == AuthScheme::kNegotiate) {
        // curl and browsers bind to the server's certificate (RFC 5929) or to nothing; our own client always
        // does.
        core::Bytes channel_binding = tls ? connection.tls->end_point_binding() : core::Bytes{};
        auto proof = co_await prove_ticket(std::move(authorization->negotiate), std::move(channel_binding));
        co_return proof;
    }
    auto proof = co_await prove_password(std::move(authorization->user), std::move(authorization->password),
                                         host_of(connection.peer));
    co_return proof;
}

Task<SignInResult<Proof>> SignIn::prove_ticket(core::Bytes token, core::Bytes channel_binding) {
    const core::Instant began = parts_.clock.now();
    KerberosDoor& kerberos = parts_.kerberos;
    auto accepted = co_await parts_.workers.run<AcceptOutcome>(
        parts_.loop, [&] { return core::Result<AcceptOutcome>(kerberos.accept(token, channel_binding)); });
    parts_.metrics.ticket_seconds.observe(parts_.clock.now() - began);
    if (!accepted) co_return refuse(RefusalClass::kTicket, std::move(accepted.error()));
    AcceptOutcome& outcome = *accepted;
    if (outcome.state == AcceptOutcome::State::kRefused) {
        co_return std::unexpected(
            SignInRefusal{std::move(outcome.error), classify(outcome.reason), {}, std::move(outcome.token)});
    }
    if (outcome.state == AcceptOutcome::State::kContinue) {
        co_return std::unexpected(SignInRefusal{
            {Errc::kUnauthenticated, "Negotiate: offer Kerberos as the first mechanism, with its token", 0},
            RefusalClass::kTicket,
            {},
            std::move(outcome.token)});
    }
    Proof proof;
    proof.method = SignInMethod::kTicket;
    proof.reply_token = std::move(outcome.token);
    proof.directory = word_of(outcome.peer);
    auto identified = identify(std::move(proof), outcome.peer.principal);
    if (identified) parts_.metrics.tickets_accepted.add();
    co_return identified;
}

Task<SignInResult<Proof>> SignIn::prove_token(std::string token, SignInMethod method) {
    const core::WallTime now = parts_.clock.wall();
    auth::TokenVerifier& tokens = parts_.tokens;
    std::optional<core::Result<auth::TokenClaims>> claims;
    if (auto cached = tokens.find_cached(token, now)) {
        claims.emplace(std::move(*cached));
    } else {
        auto verified = co_await parts_.workers.run<auth::TokenClaims>(
            parts_.loop, [&] { return tokens.verify(token, now); });
        if (verified) parts_.metrics.tokens_verified.add();
        claims.emplace(std::move(verified));
    }
    if (!*claims) co_return refuse(RefusalClass::kToken, std::move(claims->error()));
    Proof proof;
    proof.method = method;
    proof.token = std::move(**claims);
    const std::string principal = proof.token.subject;
    if (proof.token.kind() == auth::TokenKind::kTask) co_return identify_task(std::move(proof));
    co_return identify(std::move(proof), principal);
}

Task<SignInResult<Proof>> SignIn::prove_password(std::string user, std::string password, std::string source) {
    std::string principal =
        user.contains('@') ? user : auth::user_principal(user, rules_.identities.home_realm);
    // Before the KDC is asked: a name that maps to nobody costs nothing, and 'alice' and 'alice@REALM' count
    // together.
    auto identity = auth::identify(rules_.identities, principal);
    if (!identity || identity->kind != auth::IdentityKind::kUser) {
        auth::wipe(password);
        co_return refuse(RefusalClass::kPassword, {Errc::kUnauthenticated, "user or password is wrong", 0},
                         principal);
    }
    auto begun = throttle_.begin(principal, source, parts_.clock.now());
    if (!begun) {
        auth::wipe(password);
        co_return refuse(RefusalClass::kPassword, std::move(begun.error()), principal);
    }
    KerberosDoor& kerberos = parts_.kerberos;
    auto checked = co_await parts_.password_workers.run<auth::GssPeer>(
        parts_.loop, [&] { return kerberos.check_password(principal, password); });
    auth::wipe(password);
    if (!checked) {
        if (checked.error().code != Errc::kUnauthenticated) throttle_.undecided(principal, source);
        const auto reason =
            checked.error().code == Errc::kDenied ? RefusalClass::kKeytab : RefusalClass::kPassword;
        co_return refuse(reason, std::move(checked.error()), principal);
    }
    throttle_.right(principal, source);
    parts_.metrics.passwords_accepted.add();
    Proof proof;
    proof.method = SignInMethod::kPassword;
    proof.directory = word_of(*checked);
    co_return identify(std::move(proof), checked->principal);
}

SignInResult<void> SignIn::check_cross_site(const Request& request, const ConnectionInfo& connection,
                                            bool ambient) {
    const auth::CrossSiteFacts facts{.method = request.method,
                                     .content_type = request.headers.get("Content-Type"),
                                     .origin = request.headers.get("Origin"),
                                     .sec_fetch_site = request.headers.get("Sec-Fetch-Site"),
                                     .host = request.headers.get("Host"),
                                     .tls = connection.tls != nullptr,
                                     .ambient = ambient,
                                     .has_body = request.expects_body};
    if (!changes_state(request.method)) return {};
    auto checked = auth::check_cross_site(facts);
    if (!checked) return refuse(RefusalClass::kCrossSite, std::move(checked.error()));
    return {};
}

SignInResult<Proof> SignIn::identify(Proof proof, std::string_view principal) const {
    auto identity = auth::identify(rules_.identities, principal);
    if (!identity)
        return refuse(RefusalClass::kPrincipal, std::move(identity.error()), std::string(principal));
    if (identity->kind != auth::IdentityKind::kUser) {
        Error error{Errc::kDenied, {}, 0};
        error.message = std::format("{} is a {}: the API is for users", principal,
                                    identity->kind == auth::IdentityKind::kMachine ? "machine" : "service");
        return refuse(RefusalClass::kPrincipal, std::move(error), std::string(principal));
    }
    // A directory gives tickets for aliases too: for "boss" to whoever has made an account "boss$", or has
    // taken the name as user principal name. The account is the one name that nobody else can have.
    if (proof.directory && proof.directory->there &&
        !auth::is_account_of(proof.directory->account, identity->name)) {
        return refuse(
            RefusalClass::kPrincipal,
            {Errc::kDenied,
             std::format("{} is another name of the directory's account '{}'; sign in by the account's name",
                         principal, proof.directory->account),
             0},
            std::string(principal));
    }
    proof.identity = std::move(*identity);
    return proof;
}

SignInResult<Caller> SignIn::admit(Proof proof, const PolicyView& policy) {
    auto subject = policy.admit(proof.identity.name, proof.identity.principal);
    if (!subject)
        return refuse(RefusalClass::kRegistry, std::move(subject.error()), proof.identity.principal);
    return Caller{std::move(proof), std::move(*subject)};
}

}  // namespace smackd::services
