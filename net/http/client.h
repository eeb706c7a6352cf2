// HTTP/1.1 client: one connection over any Stream, used for as many requests as it lives.
#pragma once

#include <memory>
#include <string>

#include "core/units.h"
#include "net/http/message.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/tls/tls.h"

namespace smackd::net::http {

struct ClientRequest {
    std::string method = "GET";
    std::string target = "/";  ///< raw: path and query, escaped
    Headers headers;           ///< Host is added from the connection when absent
    std::string body;
    core::Duration limit =
        std::chrono::seconds(30);  ///< to the end of the response's head; for fetch: to its body's
};

struct ClientLimits {
    size_t head_bytes = 64 * core::kKiB;
    size_t headers = 200;
    uint64_t body_bytes = 64 * core::kMiB;  ///< of fetch
};

struct ClientResponse {
    int status = 0;
    Headers headers;
    std::string body;  ///< of fetch only
};

/// One connection. One request at a time; read its body to the end before the next.
class ClientConnection {
 public:
    ClientConnection(Loop& loop, std::unique_ptr<Stream> stream, std::string host, ClientLimits limits = {});
    ~ClientConnection();
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    /// Sends a request and returns the head of its response; the body follows by body(). kUnavailable when
    /// the connection ends, kTimeout, kCorrupt when it is not HTTP.
    Task<core::Result<ClientResponse>> send(ClientRequest request);
    /// The body of the last response, in pieces; no limit but the caller's.
    BodyReader& body();
    /// Request and whole response.
    Task<core::Result<ClientResponse>> fetch(ClientRequest request);
    /// True when another request may be sent.
    bool reusable() const;
    Stream& stream();
    /// After a 101: what came behind its head. The stream is the caller's then, and no request can follow.
    core::Bytes take_rest();
    Task<void> close();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Where a server is.
struct Endpoint {
    std::string unix_path;  ///< or
    HostPort host;
    std::shared_ptr<const TlsConfig> tls;  ///< nullptr: plain
    std::string server_name;               ///< for SNI and the certificate check
};

/// Connects, with TLS when the endpoint has it. `engine` may be nullptr without TLS.
Task<core::Result<std::unique_ptr<ClientConnection>>> connect(Loop& loop, TlsEngine* engine,
                                                              Endpoint endpoint, core::Duration limit,
                                                              ClientLimits limits = {});

}  // namespace smackd::net::http
