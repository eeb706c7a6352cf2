// TlsDoor: one TLS listener for several protocols, told apart by ALPN (RFC 7301): "smack/1" and
// "smack-join/1".
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/callback.h"
#include "core/logger.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/tls/tls.h"

namespace smackd::net {

/// What happens with connections of one protocol.
struct TlsProtocol {
    /// Serves the stream and closes it; cancelled when the door closes.
    core::Callback<Task<void>(std::unique_ptr<Stream>)> serve;
    /// Refuses clients without a certificate signed by the configured CA.
    bool client_certificate = true;
};

struct TlsDoorOptions {
    std::string name;                  ///< for logs
    size_t connections = 4096;         ///< at once; more are closed at once
    size_t connections_per_host = 64;  ///< from one address, without a certificate or before it was seen
    /// Told of each client that was refused for its certificate, or for having none.
    core::Callback<void(const std::string& peer, const core::Error& why)> refused{};
};

class TlsDoor {
 public:
    /// `config` is asked per connection (hot reload); its ALPN list names the protocols and its client
    /// certificates are kOptional when one of them needs none.
    using ConfigSource = core::Callback<std::shared_ptr<const TlsConfig>()>;
    TlsDoor(TlsEngine& engine, std::unique_ptr<Listener> listener, TlsDoorOptions options,
            ConfigSource config, std::map<std::string, TlsProtocol> protocols, core::Logger logger = {});
    /// close() has returned.
    ~TlsDoor();
    TlsDoor(const TlsDoor&) = delete;
    TlsDoor& operator=(const TlsDoor&) = delete;

    /// Begins to accept.
    void start();
    /// Stops accepting, cancels what is served and returns when all of it has ended.
    Task<void> close();
    std::string address() const;
    size_t connections() const;

 private:
    Task<void> accept_all();
    Task<void> serve(std::unique_ptr<Stream> raw, std::string host);
    Task<core::Result<void>> dispatch(std::unique_ptr<Stream> raw, std::string& host);
    void leave(std::string& host);

    TlsEngine& engine_;
    std::unique_ptr<Listener> listener_;
    TlsDoorOptions options_;
    ConfigSource config_;
    std::map<std::string, TlsProtocol> protocols_;
    core::Logger logger_;
    std::map<std::string, size_t> per_host_;
    Scope acceptor_;
    Scope connections_;
};

}  // namespace smackd::net
