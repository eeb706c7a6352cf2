#include "cmd/smackd/client/api_client.h"

#include <time.h>

#include <format>
#include <thread>

#include "net/crypto/random.h"
#include "net/scope.h"

namespace smackd::cmd {
namespace {

inline constexpr core::Duration kReconnectPause = core::seconds(1);
inline constexpr int kReconnectsMax = 30;
inline constexpr size_t kWebSocketKeyBytes = 16;
inline constexpr int kSwitchingProtocols = 101;

core::Result<std::shared_ptr<const net::TlsConfig>> tls_config(const std::string& ca_pem) {
    net::TlsClientOptions options;
    options.ca_pem = ca_pem;
    options.alpn = {"http/1.1"};
    // Without a pinned CA the server proves itself by Kerberos, bound to this very TLS session.
    options.verify = !ca_pem.empty();
    return net::TlsConfig::client(std::move(options));
}

core::Errc code_of_name(std::string_view name, int status) {
    for (uint8_t value = 1; value <= static_cast<uint8_t>(core::Errc::kUnknownOutcome); ++value) {
        auto code = static_cast<core::Errc>(value);
        if (core::errc_name(code) == name) return code;
    }
    if (status == 401) return core::Errc::kUnauthenticated;
    if (status == 403) return core::Errc::kDenied;
    if (status == 404) return core::Errc::kNotFound;
    return status >= 500 ? core::Errc::kUnavailable : core::Errc::kInvalid;
}

net::Task<core::Result<bool>> read_events(net::http::ClientConnection& connection, EventParser& parser,
                                          std::string& last_id,
                                          core::Callback<bool(const ServerEvent&)>& on_event) {
    char buffer[16 * 1024];
    for (;;) {
        CO_TRY_ASSIGN(size_t got, co_await connection.body().read(buffer, sizeof buffer));
        if (got == 0) co_return true;
        CO_TRY(parser.feed({buffer, got}));
        while (auto event = parser.next()) {
            if (!event->id.empty()) last_id = event->id;
            if (!on_event(*event)) co_return false;
        }
    }
}

net::Task<core::Result<void>> read_body(net::http::ClientConnection& connection,
                                        core::Callback<core::Result<void>(core::BytesView)>& sink) {
    core::Bytes buffer(256 * 1024, '\0');
    for (;;) {
        CO_TRY_ASSIGN(size_t got, co_await connection.body().read(buffer.data(), buffer.size()));
        if (got == 0) co_return core::Result<void>();
        CO_TRY(sink(core::BytesView(buffer).substr(0, got)));
    }
}

}  // namespace

core::Error error_of_answer(int status, std::string_view body) {
    auto parsed = core::Json::parse(body);
    core::Json json = parsed ? std::move(*parsed) : core::Json();
    const core::Json& nested = json["error"];
    std::string_view code = nested.is_object() ? nested["code"].as_string() : nested.as_string();
    std::string message = nested.is_object() ? nested["message"].as_string() : json["message"].as_string();
    // Marathon's form has what is wrong where beside its sentence.
    for (const core::Json& detail : json["details"].as_array()) {
        for (const core::Json& error : detail["errors"].as_array())
            message += std::format("\n  {}: {}", detail["path"].as_string(), error.as_string());
    }
    if (json["details"].is_string()) message += ": " + json["details"].as_string();
    if (message.empty()) message = std::format("the server answered {}", status);
    return core::Error{code_of_name(code, status), std::move(message), 0};
}

core::Result<std::unique_ptr<ApiClient>> ApiClient::open(const Arguments& arguments) {
    TRY_ASSIGN(ServerAddress server, find_server(arguments));
    return std::make_unique<ApiClient>(std::move(server));
}

ApiClient::ApiClient(ServerAddress server)
    : server_(std::move(server)), loop_("cli"), workers_("cli", 1, 16), tls_(loop_, workers_) {
    session_ = load_session(server_.to_string());
    if (session_ && session_->expires_s <= ::time(nullptr)) session_->token.clear();
    if (session_) server_.ca_pem = session_->ca_pem;
}

ApiClient::~ApiClient() {
    disconnect();
}

void ApiClient::use(SharedCredential credential) {
    credential_ = std::move(credential);
    if (session_) session_->token.clear();
}

void ApiClient::disconnect() {
    if (!connection_) return;
    net::block_on(loop_, connection_->close());
    connection_.reset();
}

core::Result<void> ApiClient::connect() {
    if (connection_ && connection_->reusable()) return {};
    disconnect();
    net::http::Endpoint endpoint;
    endpoint.unix_path = server_.unix_path;
    endpoint.host = {server_.host, server_.port};
    if (server_.tls) {
        TRY_ASSIGN(endpoint.tls, tls_config(server_.ca_pem));
        endpoint.server_name = server_.ca_pem.empty() ? std::string() : server_.host;
    }
    auto made = net::block_on(loop_, net::http::connect(loop_, &tls_, std::move(endpoint), kConnectLimit));
    if (!made) return core::pass(std::move(made), std::format("connecting to {}", server_.to_string()));
    connection_ = std::move(*made);
    return {};
}

core::Result<void> ApiClient::sign_in(net::http::Headers& headers) {
    negotiation_.reset();
    if (anonymous_) return {};
    if (session_ && !session_->token.empty()) {
        headers.set("Authorization", "Bearer " + session_->token);
        return {};
    }
    if (!credential_) {
        TRY_ASSIGN(credential_, find_credential(server_));
    }
    const net::TlsSession* tls = connection_->stream().tls();
    negotiation_.emplace(credential_, server_.kerberos_host, tls ? tls->end_point_binding() : core::Bytes());
    TRY_ASSIGN(std::string value, negotiation_->first());
    headers.set("Authorization", value);
    return {};
}

core::Result<net::http::ClientRequest> ApiClient::make_request(const std::string& method,
                                                               const std::string& target,
                                                               const std::optional<core::Json>& body) {
    TRY(connect());
    net::http::ClientRequest request;
    request.method = method;
    request.target = target;
    request.headers.set("Accept", "application/json");
    if (!server_.unix_path.empty()) request.headers.set("Host", server_.kerberos_host);
    if (body) {
        request.headers.set("Content-Type", "application/json");
        request.body = body->dump();
    }
    TRY(sign_in(request.headers));
    return request;
}

core::Result<net::http::ClientResponse> ApiClient::exchange(net::http::ClientRequest request) {
    auto answer = net::block_on(loop_, connection_->fetch(std::move(request)));
    if (!answer) return core::pass(std::move(answer), std::format("asking {}", server_.to_string()));
    server_date_ = answer->headers.get("Date");
    if (answer->status < 400 && negotiation_) {
        TRY(negotiation_->verify(answer->headers.get("WWW-Authenticate")));
    }
    return answer;
}

core::Result<std::string> ApiClient::call_raw(const std::string& method, const std::string& target,
                                              std::optional<core::Json> body) {
    TRY_ASSIGN(net::http::ClientRequest request, make_request(method, target, body));
    TRY_ASSIGN(net::http::ClientResponse answer, exchange(std::move(request)));
    bool stale = answer.status == 401 && session_ && !session_->token.empty();
    if (stale) {  // revoked or of an earlier life of the cluster: a ticket may still do
        session_->token.clear();
        TRY_ASSIGN(net::http::ClientRequest again, make_request(method, target, body));
        TRY_ASSIGN(answer, exchange(std::move(again)));
    }
    if (answer.status >= 400) return std::unexpected(error_of_answer(answer.status, answer.body));
    return std::move(answer.body);
}

core::Result<core::Json> ApiClient::call(const std::string& method, const std::string& target,
                                         std::optional<core::Json> body) {
    TRY_ASSIGN(std::string text, call_raw(method, target, std::move(body)));
    if (text.empty()) return core::Json::object();
    auto parsed = core::Json::parse(text);
    if (!parsed) return core::pass(std::move(parsed), "the server's answer");
    return parsed;
}

core::Error ApiClient::end_with_error(int status) {
    auto text = net::block_on(loop_, connection_->body().read_all(kEventBytesMax));
    auto error = error_of_answer(status, text ? *text : std::string());
    disconnect();
    return error;
}

template <class Ask>
auto ApiClient::again_if_stale(Ask ask) {
    auto answer = ask();
    const bool stale = !answer && answer.error().code == core::Errc::kUnauthenticated && session_ &&
                       !session_->token.empty();
    if (!stale) return answer;
    session_->token.clear();
    return ask();
}

core::Result<net::http::ClientResponse> ApiClient::begin_download(const std::string& target) {
    TRY_ASSIGN(net::http::ClientRequest request, make_request("POST", target, core::Json::object()));
    request.headers.set("Accept", "*/*");
    request.limit = kDownloadHeadLimit;
    TRY_ASSIGN(net::http::ClientResponse answer, net::block_on(loop_, connection_->send(std::move(request))));
    if (answer.status < 400) {
        if (negotiation_) TRY(negotiation_->verify(answer.headers.get("WWW-Authenticate")));
        return answer;
    }
    return std::unexpected(end_with_error(answer.status));
}

core::Result<net::http::Headers> ApiClient::download(
    const std::string& target, core::Callback<core::Result<void>(core::BytesView)> sink) {
    auto answer = again_if_stale([&] { return begin_download(target); });
    if (!answer) return core::pass(std::move(answer));
    auto read = net::block_on(loop_, read_body(*connection_, sink));
    if (!read) return core::pass(std::move(read), "the answer broke off");
    return std::move(answer->headers);
}

core::Result<void> ApiClient::read_stream(const std::string& target, std::string& last_id,
                                          core::Callback<bool(const ServerEvent&)>& on_event, bool& wanted) {
    TRY_ASSIGN(net::http::ClientRequest request, make_request("GET", target, std::nullopt));
    request.headers.set("Accept", "text/event-stream");
    if (!last_id.empty()) request.headers.set("Last-Event-ID", last_id);
    TRY_ASSIGN(net::http::ClientResponse answer, net::block_on(loop_, connection_->send(std::move(request))));
    if (answer.status >= 400) {
        auto text = net::block_on(loop_, connection_->body().read_all(kEventBytesMax));
        return std::unexpected(error_of_answer(answer.status, text ? *text : std::string()));
    }
    EventParser parser;
    TRY_ASSIGN(wanted, net::block_on(loop_, read_events(*connection_, parser, last_id, on_event)));
    return {};
}

core::Result<void> ApiClient::follow(const std::string& target, std::string last_id,
                                     core::Callback<bool(const ServerEvent&)> on_event) {
    bool wanted = true;
    for (int failures = 0; wanted;) {
        auto read = read_stream(target, last_id, on_event, wanted);
        disconnect();
        bool cut = !read && (read.error().code == core::Errc::kUnavailable ||
                             read.error().code == core::Errc::kTimeout);
        if (!read && (!cut || ++failures > kReconnectsMax || last_id.empty())) return read;
        if (read) failures = 0;
        if (wanted) std::this_thread::sleep_for(kReconnectPause);
    }
    return {};
}

core::Result<void> ApiClient::upgrade(const std::string& target) {
    TRY_ASSIGN(net::http::ClientRequest request, make_request("GET", target, std::nullopt));
    const std::string key = core::to_base64(net::crypto::random_bytes(kWebSocketKeyBytes));
    request.headers.set("Connection", "Upgrade");
    request.headers.set("Upgrade", "websocket");
    request.headers.set("Sec-WebSocket-Version", net::http::kWebSocketVersion);
    request.headers.set("Sec-WebSocket-Key", key);
    auto answer = net::block_on(loop_, connection_->send(std::move(request)));
    if (!answer) return core::pass(std::move(answer), std::format("asking {}", server_.to_string()));
    if (answer->status == kSwitchingProtocols) {
        if (negotiation_) TRY(negotiation_->verify(answer->headers.get("WWW-Authenticate")));
        if (answer->headers.get("Sec-WebSocket-Accept") == net::http::websocket_accept(key)) return {};
        return core::fail(core::Errc::kCorrupt, "{} accepted another WebSocket", server_.to_string());
    }
    return std::unexpected(end_with_error(answer->status));
}

core::Result<std::unique_ptr<net::http::WebSocket>> ApiClient::open_socket(const std::string& target) {
    TRY(again_if_stale([&] { return upgrade(target); }));
    core::Bytes rest = connection_->take_rest();
    return std::make_unique<net::http::WebSocket>(loop_, connection_->stream(),
                                                  net::http::WebSocketRole::kClient, std::move(rest));
}

core::Result<void> EventParser::feed(std::string_view bytes) {
    if (buffer_.size() + event_.data.size() + bytes.size() > kEventBytesMax) {
        return core::fail(core::Errc::kInvalid, "the server sent an event longer than {} bytes",
                          kEventBytesMax);
    }
    buffer_ += bytes;
    return {};
}

std::optional<ServerEvent> EventParser::next() {
    for (size_t end = 0; (end = buffer_.find('\n')) != std::string::npos;) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty()) {
            ServerEvent done = std::exchange(event_, {});
            if (!done.data.empty()) return done;
            continue;
        }
        size_t colon = line.find(':');
        std::string field = line.substr(0, colon);
        std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
        if (value.starts_with(' ')) value.erase(0, 1);
        if (field == "id") event_.id = value;
        if (field == "event") event_.name = value;
        if (field == "data") event_.data += (event_.data.empty() ? "" : "\n") + value;
    }
    return std::nullopt;
}

}  // namespace smackd::cmd
