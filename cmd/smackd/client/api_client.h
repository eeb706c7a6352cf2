// Talks to a server's API for one command: connects, signs in, turns refusals into errors.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cmd/smackd/client/credentials.h"
#include "cmd/smackd/client/server_address.h"
#include "cmd/smackd/client/session_file.h"
#include "core/callback.h"
#include "core/json.h"
#include "net/http/client.h"
#include "net/http/websocket_stream.h"
#include "net/loop.h"
#include "net/worker_pool.h"

namespace smackd::cmd {

inline constexpr core::Duration kConnectLimit = core::seconds(10);
inline constexpr core::Duration kDownloadHeadLimit = core::seconds(600);  ///< until the answer begins
inline constexpr size_t kEventBytesMax = 1024 * 1024;

/// One event of a stream: its id and its data.
struct ServerEvent {
    std::string id;
    std::string name;
    std::string data;
};

class ApiClient {
 public:
    /// Finds the server by the command's options; connects at the first call.
    static core::Result<std::unique_ptr<ApiClient>> open(const Arguments& arguments);
    explicit ApiClient(ServerAddress server);
    ~ApiClient();
    ApiClient(const ApiClient&) = delete;
    ApiClient& operator=(const ApiClient&) = delete;

    const ServerAddress& server() const { return server_; }
    /// The Date header of the last answer (RFC 9110 section 6.6.1), or empty.
    const std::string& server_date() const { return server_date_; }
    /// Signs in with this ticket instead of looking one up, and with no saved session.
    void use(SharedCredential credential);
    /// Signs in by ticket although a token is saved.
    void forget_token() {
        if (session_) session_->token.clear();
    }
    /// Sends no ticket and no token (sign-in by password).
    void use_nothing() { anonymous_ = true; }

    core::Result<core::Json> get(const std::string& target) { return call("GET", target, std::nullopt); }
    core::Result<core::Json> call(const std::string& method, const std::string& target,
                                  std::optional<core::Json> body);
    /// The body as it comes, for answers that are not JSON (metrics, keytabs).
    core::Result<std::string> call_raw(const std::string& method, const std::string& target,
                                       std::optional<core::Json> body);
    /// POSTs and hands the body of the answer to `sink` as it comes; the answer's headers. For answers of any
    /// length.
    core::Result<net::http::Headers> download(const std::string& target,
                                              core::Callback<core::Result<void>(core::BytesView)> sink);
    /// Reads events until `on_event` says false or the stream ends. Reconnects after a cut with the last id.
    core::Result<void> follow(const std::string& target, std::string last_id,
                              core::Callback<bool(const ServerEvent&)> on_event);
    /// Opens a WebSocket (RFC 6455), which goes before the client and is used on loop().
    core::Result<std::unique_ptr<net::http::WebSocket>> open_socket(const std::string& target);
    net::Loop& loop() { return loop_; }

 private:
    core::Result<void> connect();
    core::Result<net::http::ClientRequest> make_request(const std::string& method, const std::string& target,
                                                        const std::optional<core::Json>& body);
    core::Result<void> sign_in(net::http::Headers& headers);
    core::Result<net::http::ClientResponse> exchange(net::http::ClientRequest request);
    core::Result<net::http::ClientResponse> begin_download(const std::string& target);
    core::Result<void> upgrade(const std::string& target);
    /// Reads the body of an answer that refuses, and ends the connection.
    core::Error end_with_error(int status);
    /// Once more by a ticket when the session's token is refused, as call_raw does.
    template <class Ask>
    auto again_if_stale(Ask ask);
    core::Result<void> read_stream(const std::string& target, std::string& last_id,
                                   core::Callback<bool(const ServerEvent&)>& on_event, bool& wanted);
    void disconnect();

    ServerAddress server_;
    net::Loop loop_;
    net::WorkerPool workers_;
    net::TlsEngine tls_;
    std::unique_ptr<net::http::ClientConnection> connection_;
    std::optional<Session> session_;
    SharedCredential credential_;
    std::optional<Negotiation> negotiation_;
    bool anonymous_ = false;
    std::string server_date_;
};

/// The error a refusing answer stands for, with the server's sentence.
core::Error error_of_answer(int status, std::string_view body);

/// Cuts server-sent events out of a stream of bytes; no I/O.
class EventParser {
 public:
    /// kInvalid when one event is longer than kEventBytesMax.
    core::Result<void> feed(std::string_view bytes);
    /// The next complete event that has data.
    std::optional<ServerEvent> next();

 private:
    std::string buffer_;
    ServerEvent event_;
};

}  // namespace smackd::cmd
