// TlsConfig: certificates and rules of one side of TLS. Immutable once made; swap the pointer to reload.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/callback.h"
#include "core/result.h"
#include "net/tls/tickets.h"

namespace smackd::net {

enum class TlsVersions : uint8_t { k12And13, kOnly13, kOnly12 };

/// How a server treats client certificates.
enum class ClientCertificates : uint8_t { kNone, kOptional, kRequired };

/// A certificate for clients that ask for one host name (SNI, RFC 6066 section 3).
struct NamedCertificate {
    std::string server_name;  ///< lower case; "*.example.org" for one label
    std::string certificate_pem;
    std::string key_pem;
};

struct TlsServerOptions {
    std::string certificate_pem;  ///< own chain, leaf first
    std::string key_pem;
    std::vector<NamedCertificate> by_name;  ///< instead of certificate_pem for these names
    std::string client_ca_pem;              ///< who may sign client certificates; needed unless kNone
    ClientCertificates clients = ClientCertificates::kNone;
    std::vector<std::string>
        alpn;  ///< in order of preference; empty: ALPN is ignored. Without overlap the handshake fails.
    TlsVersions versions = TlsVersions::k12And13;
    /// Clients may resume their sessions; nullptr: they may not. Refused where clients show certificates: a
    /// resumed TLS 1.3 session has none, and its expiry or removal would not be looked at again.
    std::shared_ptr<TlsTickets> tickets;
};

struct TlsClientOptions {
    std::string ca_pem;           ///< who may sign the server's certificate; empty only with verify off
    std::string certificate_pem;  ///< own chain, or empty
    std::string key_pem;
    std::vector<std::string> alpn;
    TlsVersions versions = TlsVersions::k12And13;
    /// Checks the server's chain against ca_pem. Off only where Kerberos proves the server afterwards (join,
    /// first login): the session then has the peer's certificate all the same, unchecked.
    bool verify = true;
};

/// No session tickets unless a server is given some, no renegotiation, AEAD suites with forward secrecy only.
/// Shared by handshakes on several threads, hence the shared_ptr; a connection keeps the configuration it
/// began with.
class TlsConfig {
 public:
    struct Native;
    static core::Result<std::shared_ptr<const TlsConfig>> server(TlsServerOptions options);
    static core::Result<std::shared_ptr<const TlsConfig>> client(TlsClientOptions options);

    explicit TlsConfig(std::unique_ptr<Native> native);
    ~TlsConfig();
    TlsConfig(const TlsConfig&) = delete;
    TlsConfig& operator=(const TlsConfig&) = delete;
    Native& native() const { return *native_; }

 private:
    std::unique_ptr<Native> native_;
};

}  // namespace smackd::net
