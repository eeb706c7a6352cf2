#include "cmd/smackd/client/credentials.h"

#include <unistd.h>

#include <cstdlib>

#include "auth/http_rules.h"
#include "auth/keytab.h"
#include "cmd/smackd/client/deadline.h"
#include "cmd/smackd/data_directory.h"

namespace smackd::cmd {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

core::Result<SharedCredential> share(core::Result<auth::ClientCredential> credential) {
    if (!credential) return core::pass(std::move(credential));
    return std::make_shared<auth::ClientCredential>(std::move(*credential));
}

struct Begun {
    std::shared_ptr<auth::GssInitiator> initiator;
    core::Bytes token;
};

core::Result<Begun> begin(const SharedCredential& credential, const std::string& host,
                          const core::Bytes& binding) {
    TRY_ASSIGN(auth::GssInitiator opened,
               auth::GssInitiator::open(*credential, {"HTTP@" + host, binding, true}));
    Begun begun{std::make_shared<auth::GssInitiator>(std::move(opened)), {}};
    TRY_ASSIGN(begun.token, begun.initiator->step());
    return begun;
}

/// "alice" is alice of the keytab's own realm.
core::Result<std::string> full_principal(const std::string& path, const std::string& principal) {
    if (principal.empty() || principal.find('@') != std::string::npos) return principal;
    TRY_ASSIGN(auth::Keytab keytab, auth::Keytab::read(path));
    for (const std::string& found : keytab.principals()) {
        if (found.starts_with(principal + "@")) return found;
    }
    TRY(keytab.require(principal, path));
    return principal;
}

}  // namespace

core::Result<SharedCredential> keytab_credential(const std::string& path, const std::string& principal) {
    TRY_ASSIGN(std::string full, full_principal(path, principal));
    return run_with_deadline<SharedCredential>(
        kKerberosLimit, "getting a ticket with the keytab",
        [path, full] { return share(auth::ClientCredential::from_keytab(path, full)); });
}

core::Result<SharedCredential> find_credential(const ServerAddress& server) {
    auto cached = run_with_deadline<SharedCredential>(kKerberosLimit, "reading the ticket cache", [] {
        return share(auth::ClientCredential::from_cache());
    });
    if (cached) return cached;
    if (std::string path = environment("SMACKD_KEYTAB"); !path.empty()) {
        return keytab_credential(path, environment("SMACKD_PRINCIPAL"));
    }
    if (!server.local_directory.empty()) {
        std::string path = DataDirectory(server.local_directory).keytabs() + "/admin.keytab";
        if (::access(path.c_str(), R_OK) == 0) return keytab_credential(path, {});
    }
    return core::fail(
        core::Errc::kUnauthenticated,
        "you have no ticket ({}); run kinit, or set SMACKD_KEYTAB and SMACKD_PRINCIPAL, or run 'smackd "
        "login --user NAME'",
        cached.error().message);
}

core::Result<std::string> Negotiation::first() {
    auto begun = run_with_deadline<Begun>(kKerberosLimit, "getting a ticket for the server",
                                          [credential = credential_, host = host_, binding = binding_] {
                                              return begin(credential, host, binding);
                                          });
    if (!begun) return core::pass(std::move(begun));
    initiator_ = std::move(begun->initiator);
    return auth::format_negotiate(begun->token);
}

core::Result<void> Negotiation::verify(std::string_view www_authenticate) {
    if (initiator_ == nullptr || initiator_->complete()) return {};
    auto token = auth::parse_negotiate(www_authenticate);
    auto stepped = token ? initiator_->step(*token) : token;
    if (!stepped || !initiator_->complete()) {
        return core::fail(core::Errc::kDenied, "the server did not prove that it is HTTP/{}: {}", host_,
                          stepped ? "no answer to our ticket" : stepped.error().message);
    }
    return {};
}

}  // namespace smackd::cmd
