#include "net/http/client.h"

#include <algorithm>
#include <cstring>
#include <format>

#include "net/http/parser.h"
#include "net/scope.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;

namespace {

constexpr size_t kReadBytes = 16 * 1024;

}  // namespace

struct ClientConnection::State final : BodyReader {
    State(Loop& on, std::unique_ptr<Stream> to, std::string name, ClientLimits with)
        : loop(on),
          stream(std::move(to)),
          host(std::move(name)),
          limits(with),
          parser(Parser::Kind::kResponse, {with.head_bytes, with.headers, UINT64_MAX}),
          input(kReadBytes, '\0') {}

    Result<std::string> format_request(const ClientRequest& request) const;
    Task<Result<ClientResponse>> exchange(ClientRequest request);
    Task<Result<void>> read_head();
    Task<Result<void>> feed_more();
    Task<Result<size_t>> read(char* buffer, size_t size) override;

    Loop& loop;
    std::unique_ptr<Stream> stream;
    std::string host;
    ClientLimits limits;
    Parser parser;
    std::string input;
    core::BytesView unparsed;
    bool used = false;  // a response has been begun
    bool broken = false;
};

ClientConnection::ClientConnection(Loop& loop, std::unique_ptr<Stream> stream, std::string host,
                                   ClientLimits limits)
    : state_(std::make_unique<State>(loop, std::move(stream), std::move(host), limits)) {}
ClientConnection::~ClientConnection() = default;

Result<std::string> ClientConnection::State::format_request(const ClientRequest& request) const {
    bool good_target = !request.target.empty() &&
                       std::ranges::all_of(request.target, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!valid_field_name(request.method) || !good_target) {
        return core::fail(Errc::kInvalid, "request: the method or target has a bad character");
    }
    std::string text = std::format("{} {} HTTP/1.1\r\n", request.method, request.target);
    if (!request.headers.has("host")) text.append("Host: ").append(host).append("\r\n");
    for (const Headers::Field& field : request.headers.fields()) {
        if (!valid_field_name(field.first) || !valid_field_value(field.second)) {
            return core::fail(Errc::kInvalid, "request: field '{}' has a bad character", field.first);
        }
        text.append(field.first).append(": ").append(field.second).append("\r\n");
    }
    bool body_usual = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (!request.body.empty() || body_usual) {
        text.append(std::format("Content-Length: {}\r\n", request.body.size()));
    }
    return text.append("\r\n").append(request.body);
}

Task<Result<void>> ClientConnection::State::feed_more() {
    if (unparsed.empty()) {
        auto count = co_await stream->read(input.data(), input.size());
        if (!count) co_return std::unexpected(std::move(count.error()));
        unparsed = core::BytesView(input).substr(0, *count);
        if (*count == 0) {
            if (parser.state() == Parser::State::kHead) {
                co_return core::fail(Errc::kUnavailable, "{} closed the connection before answering", host);
            }
            parser.end_of_stream();
        }
    }
    unparsed.remove_prefix(parser.feed(unparsed));
    if (parser.state() == Parser::State::kFailed) {
        co_return core::fail(Errc::kCorrupt, "{} sent a bad response: {}", host, parser.failure().reason);
    }
    co_return Result<void>();
}

Task<Result<void>> ClientConnection::State::read_head() {
    for (;;) {
        while (parser.state() == Parser::State::kHead) CO_TRY(co_await feed_more());
        bool interim = parser.head().status < 200 && parser.head().status != 101;
        if (!interim) co_return Result<void>();
        // 100 Continue and its like (RFC 9110 section 15.2): the response is still to come.
        while (parser.state() != Parser::State::kDone) CO_TRY(co_await feed_more());
        parser.next();
    }
}

Task<Result<ClientResponse>> ClientConnection::State::exchange(ClientRequest request) {
    CO_TRY_ASSIGN(std::string text, format_request(request));
    CO_TRY(co_await stream->write(text));
    if (request.method == "HEAD") parser.expect_no_body();
    CO_TRY(co_await read_head());
    ClientResponse response;
    response.status = parser.head().status;
    response.headers = parser.head().headers;
    co_return response;
}

Task<Result<ClientResponse>> ClientConnection::send(ClientRequest request) {
    State& state = *state_;
    if (!reusable())
        co_return core::fail(Errc::kUnavailable, "the connection to {} cannot be used again", state.host);
    if (std::exchange(state.used, true)) state.parser.next();
    core::Duration limit = request.limit;
    std::string what = std::format("{} {}", request.method, request.target);
    auto response =
        co_await with_deadline(state.loop, limit, std::move(what), state.exchange(std::move(request)));
    if (!response) state.broken = true;
    co_return response;
}

Task<Result<size_t>> ClientConnection::State::read(char* buffer, size_t size) {
    while (parser.body().empty()) {
        if (parser.state() == Parser::State::kDone) co_return size_t{0};
        auto fed = co_await feed_more();
        if (!fed) {
            broken = true;
            co_return std::unexpected(std::move(fed.error()));
        }
    }
    size_t count = std::min(size, parser.body().size());
    std::memcpy(buffer, parser.body().data(), count);
    parser.body().erase(0, count);
    co_return count;
}

BodyReader& ClientConnection::body() {
    return *state_;
}

namespace {

Task<Result<ClientResponse>> send_and_read(ClientConnection& connection, ClientRequest request,
                                           uint64_t limit) {
    CO_TRY_ASSIGN(ClientResponse response, co_await connection.send(std::move(request)));
    CO_TRY_ASSIGN(response.body, co_await connection.body().read_all(limit));
    co_return response;
}

}  // namespace

Task<Result<ClientResponse>> ClientConnection::fetch(ClientRequest request) {
    core::Duration limit = request.limit;
    std::string what = std::format("{} {}", request.method, request.target);
    auto response =
        co_await with_deadline(state_->loop, limit, std::move(what),
                               send_and_read(*this, std::move(request), state_->limits.body_bytes));
    if (!response) state_->broken = true;
    co_return response;
}

bool ClientConnection::reusable() const {
    if (state_->broken) return false;
    if (!state_->used) return true;
    return state_->parser.state() == Parser::State::kDone && state_->parser.head().keep_alive &&
           state_->parser.body().empty();
}

Stream& ClientConnection::stream() {
    return *state_->stream;
}
core::Bytes ClientConnection::take_rest() {
    state_->broken = true;
    return core::Bytes(std::exchange(state_->unparsed, {}));
}
Task<void> ClientConnection::close() {
    return state_->stream->close();
}

Task<Result<std::unique_ptr<ClientConnection>>> connect(Loop& loop, TlsEngine* engine, Endpoint endpoint,
                                                        core::Duration limit, ClientLimits limits) {
    std::string host = endpoint.unix_path.empty()
                           ? std::format("{}:{}", endpoint.host.host, endpoint.host.port)
                           : std::string("localhost");
    if (endpoint.host.host.find(':') != std::string::npos) {
        host = std::format("[{}]:{}", endpoint.host.host, endpoint.host.port);
    }
    Result<std::unique_ptr<Stream>> stream = core::fail(Errc::kInvalid, "no address");
    if (endpoint.unix_path.empty()) {
        stream = co_await connect_host(loop, endpoint.host, limit);
    } else {
        stream = co_await connect_unix(loop, endpoint.unix_path);
    }
    if (stream && endpoint.tls != nullptr) {
        SMACK_ASSERT(engine != nullptr);
        stream = co_await engine->connect(std::move(*stream), endpoint.tls, endpoint.server_name);
    }
    if (!stream) co_return std::unexpected(std::move(stream.error()));
    co_return std::make_unique<ClientConnection>(loop, std::move(*stream), std::move(host), limits);
}

}  // namespace smackd::net::http
