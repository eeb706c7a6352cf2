// Who sends this request: from its headers to a user of the cluster, or a refusal that says what to do.
//
// The order is: what costs nothing first (form, cross-site rules), then signatures and tickets on workers,
// then the mapping of the principal and the user's row. Nothing here decides what the caller may do.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/http_rules.h"
#include "auth/identity.h"
#include "auth/token.h"
#include "core/clock.h"
#include "core/policy.h"
#include "net/http/message.h"
#include "net/http/server.h"
#include "net/worker_pool.h"
#include "services/api/kerberos_door.h"
#include "services/api/metrics.h"
#include "services/api/password_throttle.h"
#include "services/api/policy_view.h"

namespace smackd::services {

enum class SignInMethod : uint8_t { kTicket, kPassword, kToken, kCookie, kTaskSocket };
std::string_view sign_in_method_name(SignInMethod method);

/// What the ticket said of a user in a Windows directory; empty but for the time where the realm is none.
struct DirectoryWord {
    int64_t signed_in_s = 0;        ///< at the KDC
    bool there = false;             ///< the ticket has a signed word, which could be read
    std::string account;            ///< the directory's name of the user
    std::vector<std::string> sids;  ///< sorted
    std::string full_name;
    std::string problem;  ///< a signed word that could not be read; else empty
};

/// An authenticated principal; whether the cluster knows them is admit()'s question.
struct Proof {
    auth::Identity identity;
    SignInMethod method = SignInMethod::kToken;
    auth::TokenClaims token;                 ///< when by token or cookie
    core::Bytes reply_token;                 ///< of a ticket: goes back in WWW-Authenticate and proves us
    std::optional<DirectoryWord> directory;  ///< by ticket or password: fresh from the KDC
};

/// Whoever makes a request: a user, or a task.
struct Caller {
    Proof proof;
    core::Subject subject;
    const std::string& principal() const { return proof.identity.principal; }
};

struct SignInRefusal {
    core::Error error;
    RefusalClass reason = RefusalClass::kNobody;
    std::string principal;  ///< as far as it is known
    core::Bytes gss_token;  ///< tells a Kerberos client why
};
template <class T>
using SignInResult = std::expected<T, SignInRefusal>;

struct SignInRules {
    auth::IdentityRules identities;
    bool basic = false;  ///< Basic over TLS is switched on
};

class SignIn {
 public:
    struct Parts {
        net::Loop& loop;
        net::WorkerPool& workers;           ///< tickets and signatures
        net::WorkerPool& password_workers;  ///< may wait long for a KDC
        core::Clock& clock;
        KerberosDoor& kerberos;
        auth::TokenVerifier& tokens;
        ApiMetrics& metrics;
    };
    SignIn(Parts parts, SignInRules rules) : parts_(parts), rules_(std::move(rules)) {}

    /// By Authorization header or session cookie. A ticket that is bound to a TLS session must be bound to
    /// this one.
    net::Task<SignInResult<Proof>> prove(net::http::Request& request, net::http::ConnectionInfo& connection);
    /// By a user name (with or without @REALM) and password, as a login body has them.
    net::Task<SignInResult<Proof>> prove_password(std::string user, std::string password, std::string source);

    /// The cross-site rule for a request that is authorised by `ambient` means; what a sign-in form meets
    /// too.
    static SignInResult<void> check_cross_site(const net::http::Request& request,
                                               const net::http::ConnectionInfo& connection, bool ambient);
    /// The user of a proof, with groups.
    static SignInResult<Caller> admit(Proof proof, const PolicyView& policy);

 private:
    net::Task<SignInResult<Proof>> prove_ticket(core::Bytes token, core::Bytes channel_binding);
    net::Task<SignInResult<Proof>> prove_token(std::string token, SignInMethod method);
    SignInResult<Proof> identify(Proof proof, std::string_view principal) const;

    Parts parts_;
    SignInRules rules_;
    PasswordThrottle throttle_;
};

}  // namespace smackd::services
