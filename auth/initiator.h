// The client's side: tokens for a service, from a ticket cache, a keytab or a password; and the server's
// check of a password.
//
// Every call here may block on the network (a silent KDC costs up to a minute): never on a loop. Run it on a
// worker kept for it, or in the command-line process.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "auth/acceptor.h"
#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

struct InitiatorConfig {
    std::string service{};          ///< "HTTP@host", or a principal "smack/host@REALM"
    core::Bytes channel_binding{};  ///< empty: none
    bool spnego = true;             ///< false: raw krb5 (join protocol)
};

/// Where the client's ticket comes from.
class ClientCredential {
 public:
    /// The cache of KRB5CCNAME or the default one; or the one named ("FILE:/tmp/krb5cc_0").
    static core::Result<ClientCredential> from_cache(const std::string& cache = {});
    /// Gets a ticket with a key of the keytab; `principal` may be empty for the keytab's first.
    static core::Result<ClientCredential> from_keytab(const std::string& path, const std::string& principal);
    /// Gets a ticket with a password, for `life_s` seconds (0: as long as the KDC likes).
    static core::Result<ClientCredential> from_password(const std::string& principal,
                                                        std::string_view password, int32_t life_s = 0);
    ClientCredential(ClientCredential&&) noexcept;
    ClientCredential& operator=(ClientCredential&&) noexcept;
    ~ClientCredential();

    const std::string& principal() const;
    /// Copies the tickets into a cache for other programs ("FILE:/path").
    core::Result<void> store(const std::string& cache) const;

 private:
    friend class GssInitiator;
    struct State;
    explicit ClientCredential(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// One authentication to one service. The credential must outlive it.
class GssInitiator {
 public:
    static core::Result<GssInitiator> open(const ClientCredential& credential, InitiatorConfig config);
    GssInitiator(GssInitiator&&) noexcept;
    GssInitiator& operator=(GssInitiator&&) noexcept;
    ~GssInitiator();

    /// The next token to send; `reply` is the server's last one (empty at first). Empty when nothing is to be
    /// sent.
    core::Result<core::Bytes> step(core::BytesView reply = {});
    /// True when the exchange is over and the server has proved itself (mutual authentication).
    bool complete() const;
    bool channel_bound() const;
    /// Once complete: encrypts for, and decrypts from, the server under the session's key.
    core::Result<core::Bytes> seal(core::BytesView plain);
    core::Result<core::Bytes> open(core::BytesView sealed);

 private:
    struct State;
    explicit GssInitiator(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct PasswordCheck {
    std::string principal{};  ///< "alice@REALM"
    std::string_view password{};
    std::string keytab_path{};       ///< our own keytab
    std::string server_principal{};  ///< "HTTP/host@REALM": a key of it that the KDC must know too
};

/// Checks a user's password at the KDC and then a ticket for ourselves against our own key, so that a fake
/// KDC which says yes to everything is refused. Gives what GssAcceptor gives for that ticket.
/// kUnauthenticated for a wrong password, an expired or disabled user (the text is the same for an unknown
/// user and a wrong password); kUnavailable when no KDC answers; kDenied for a KDC that does not know our
/// key.
core::Result<GssPeer> check_password(const PasswordCheck& check);

}  // namespace smackd::auth
