// HTTP/1.1 server: keep-alive, pipelining in order, chunked both ways, plain and TLS on one port, draining
// close.
//
// Strict on purpose (RFC 9112 sections 6.3 and 11.2): a message two readers might frame differently is
// answered 400 and the connection closed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/logger.h"
#include "core/metrics.h"
#include "core/units.h"
#include "net/http/message.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/sync.h"
#include "net/tls/tls.h"

namespace smackd::net::http {

struct ServerLimits {
    size_t head_bytes = 32 * core::kKiB;              ///< request line and fields together: 431
    size_t headers = 100;                             ///< 431
    uint64_t body_bytes = 8 * core::kMiB;             ///< 413
    size_t connections = 4096;                        ///< per server; more are closed at once
    core::Duration idle = std::chrono::seconds(75);   ///< between requests
    core::Duration head = std::chrono::seconds(15);   ///< first byte to end of the head: 408
    core::Duration body = std::chrono::seconds(60);   ///< whole request body: 408
    core::Duration write = std::chrono::seconds(60);  ///< one write the client does not take: closed
    size_t requests_per_connection = 100'000;
};

struct ConnectionInfo {
    std::string peer;                            ///< Stream::peer
    const TlsSession* tls = nullptr;             ///< nullptr on plain connections
    std::optional<UnixCredentials> credentials;  ///< of Unix sockets
    std::string listener;                        ///< Door::name
    uint64_t id = 0;                             ///< of the connection, rising
    /// Free for the handler: survives from request to request of one connection (Negotiate state).
    std::shared_ptr<void> state;
};

/// Answers one request. Suspends as it likes; cancelled when the server closes, and while its response
/// streams also when the client goes away.
using Handler = core::Callback<Task<Response>(Request&, ConnectionInfo&)>;

/// What is spoken on a listener. `tls` is called per connection, so certificates reload by returning a newer
/// one; empty: plain only. With both, the first byte tells them apart.
struct Door {
    std::string name;  ///< "api", "unix"
    core::Callback<std::shared_ptr<const TlsConfig>()> tls;
    bool plain = true;
};

class Server {
 public:
    /// `engine` may be nullptr when no door has TLS; it and the loop outlive the server.
    Server(Loop& loop, TlsEngine* engine, Handler handler, ServerLimits limits = {},
           core::Logger logger = {});
    /// close() has returned.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Serves what `listener` accepts until close().
    void listen(std::unique_ptr<Listener> listener, Door door);
    /// Serves one ready stream; returns when it has ended.
    Task<void> serve(std::unique_ptr<Stream> stream, std::string door_name = "stream");
    /// Stops accepting, lets running requests end for at most `grace`, then cuts them.
    Task<void> close(core::Duration grace = std::chrono::seconds(5));
    size_t connections() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::net::http
