#include "net/http/connection.h"

#include <algorithm>
#include <cstring>

#include "net/scope.h"
#include "net/system_clock.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;

Connection::Connection(ServerContext& context, Stream& stream, ConnectionInfo info, Watchdog& watchdog)
    : context_(context),
      stream_(stream),
      info_(std::move(info)),
      watchdog_(watchdog),
      parser_(Parser::Kind::kRequest,
              {context.limits.head_bytes, context.limits.headers, context.limits.body_bytes}),
      input_(kReadBytes, '\0') {}

Task<void> Connection::run() {
    while (keep_alive_) {
        auto has_request = co_await read_head();
        if (!has_request) {
            // Nothing was asked yet, so an idle client that goes or sleeps needs no answer.
            if (parser_.begun() && has_request.error().code == Errc::kTimeout) {
                co_await refuse(408, "the request did not arrive in time");
            }
            break;
        }
        if (parser_.state() == Parser::State::kFailed) {
            co_await refuse(parser_.failure().status, parser_.failure().reason);
            break;
        }
        if (!*has_request) break;
        auto go_on = co_await answer();
        if (!go_on || !*go_on) break;
        parser_.next();
    }
    idle_ = false;
}

/// True when a head is complete (or the parser has failed); false when the client closed between requests.
Task<Result<bool>> Connection::read_head() {
    idle_ = true;
    watchdog_.expect("waiting for a request", context_.limits.idle);
    bool head_expected = false;
    for (;;) {
        if (!unparsed_.empty()) {
            size_t taken = parser_.feed(unparsed_);
            unparsed_.remove_prefix(taken);
        }
        if (parser_.state() != Parser::State::kHead) break;
        if (context_.draining && !parser_.begun()) co_return false;
        if (parser_.begun() && !head_expected) {
            head_expected = true;
            idle_ = false;
            watchdog_.expect("the request's head", context_.limits.head);
        }
        CO_TRY_ASSIGN(size_t count, co_await stream_.read(input_.data(), input_.size()));
        unparsed_ = core::BytesView(input_).substr(0, count);
        if (count > 0) continue;
        parser_.end_of_stream();
        if (parser_.state() == Parser::State::kHead) co_return false;
    }
    idle_ = false;
    co_return true;
}

Task<Result<void>> Connection::feed_more() {
    if (unparsed_.empty()) {
        CO_TRY_ASSIGN(size_t count, co_await stream_.read(input_.data(), input_.size()));
        unparsed_ = core::BytesView(input_).substr(0, count);
        if (count == 0) parser_.end_of_stream();
    }
    size_t taken = parser_.feed(unparsed_);
    unparsed_.remove_prefix(taken);
    if (parser_.state() == Parser::State::kFailed) {
        keep_alive_ = false;
        co_return core::fail(Errc::kInvalid, "the request's body: {}", parser_.failure().reason);
    }
    co_return Result<void>();
}

Task<Result<size_t>> Connection::read(char* buffer, size_t size) {
    if (std::exchange(continue_due_, false)) {
        CO_TRY(co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    while (parser_.body().empty()) {
        if (parser_.state() == Parser::State::kDone) co_return size_t{0};
        if (parser_.state() == Parser::State::kFailed) {
            co_return core::fail(Errc::kInvalid, "the request's body: {}", parser_.failure().reason);
        }
        CO_TRY(co_await feed_more());
    }
    core::Bytes& body = parser_.body();
    size_t count = std::min(size, body.size());
    std::memcpy(buffer, body.data(), count);
    body.erase(0, count);
    if (parser_.state() == Parser::State::kDone) watchdog_.rest();
    co_return count;
}

/// Answers the request at hand; false ends the connection.
Task<Result<bool>> Connection::answer() {
    Head& head = parser_.head();
    ++requests_;
    keep_alive_ = head.keep_alive && requests_ < context_.limits.requests_per_connection;
    continue_due_ = head.expects_continue && head.has_body && parser_.body().empty();
    bool expected_continue = continue_due_;
    auto target = parse_target(head.target);
    if (!target) {
        co_await refuse(400, target.error().message);
        co_return false;
    }
    Request request;
    request.method = head.method;
    request.raw_target = head.target;
    request.target = std::move(*target);
    request.headers = std::move(head.headers);
    request.body = this;
    request.expects_body = head.has_body;
    if (head.has_body) {
        watchdog_.expect("the request's body", context_.limits.body);
    } else {
        watchdog_.rest();
    }
    Response response = co_await context_.handler(request, info_);
    if (parser_.state() == Parser::State::kFailed && response.status < 400) {
        response = Response::error(core::Error{Errc::kInvalid, parser_.failure().reason, 0});
    }
    if (parser_.state() == Parser::State::kFailed && parser_.failure().status != 400) {
        response.status = parser_.failure().status;
    }
    CO_TRY_ASSIGN(bool drained, co_await drain());
    // A client that still waits for "100 Continue" may or may not send its body: the framing is lost.
    if (!drained || (expected_continue && continue_due_)) keep_alive_ = false;
    if (response.close || context_.draining) keep_alive_ = false;
    CO_TRY(co_await send(response));
    co_return keep_alive_ && !cut_;
}

/// Reads what the handler left of a body, as far as that is cheaper than a new connection. False when it is
/// not.
Task<Result<bool>> Connection::drain() {
    if (parser_.state() == Parser::State::kDone) co_return true;
    if (parser_.state() == Parser::State::kFailed || continue_due_) co_return false;
    uint64_t left = parser_.head().content_length.value_or(0);
    if (left > kDrainBytesMax) co_return false;
    uint64_t dropped = 0;
    while (parser_.state() != Parser::State::kDone) {
        dropped += parser_.body().size();
        parser_.body().clear();
        if (dropped > kDrainBytesMax) co_return false;
        auto fed = co_await feed_more();
        if (!fed) co_return false;
    }
    co_return true;
}

namespace {

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), made once a second.
const std::string& http_date() {
    thread_local int64_t made_for = 0;
    thread_local std::string text;
    int64_t now = SystemClock().wall().unix_ms / 1000;
    if (now != made_for) {
        text =
            std::format("{:%a, %d %b %Y %H:%M:%S} GMT", std::chrono::sys_seconds(std::chrono::seconds(now)));
        made_for = now;
    }
    return text;
}

bool framing_field(std::string_view name) {
    for (std::string_view ours :
         {"content-length", "transfer-encoding", "connection", "date", "keep-alive"}) {
        if (equal_ignoring_case(name, ours)) return true;
    }
    return false;
}

/// A handler that puts user input into a field must not be able to end the field with it.
bool safe_fields(const Response& response) {
    return std::ranges::all_of(response.headers.fields(), [](const Headers::Field& field) {
        return valid_field_name(field.first) && valid_field_value(field.second);
    });
}

bool body_allowed(int status) {
    return status >= 200 && status != 204 && status != 304;
}

}  // namespace

std::string Connection::response_head(const Response& response, bool chunked, bool has_body) {
    std::string head;
    head.reserve(256 + response.body.size());
    head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
    head.append(reason_phrase(response.status)).append("\r\nDate: ").append(http_date()).append("\r\n");
    for (const Headers::Field& field : response.headers.fields()) {
        if (framing_field(field.first)) continue;
        head.append(field.first).append(": ").append(field.second).append("\r\n");
    }
    if (chunked) {
        head.append("Transfer-Encoding: chunked\r\n");
    } else if (has_body && !response.stream) {
        head.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
    }
    if (response.upgrade) {
        head.append("Connection: Upgrade\r\n");
    } else if (!keep_alive_) {
        head.append("Connection: close\r\n");
    } else if (parser_.head().minor_version == 0) {
        head.append("Connection: keep-alive\r\n");
    }
    head.append("\r\n");
    return head;
}

Task<Result<void>> Connection::send(Response& response) {
    if (!safe_fields(response)) {
        context_.logger.error("a response field has a control character",
                              {{"target", parser_.head().target}});
        response = Response::text(500, "the response could not be written\n");
    }
    if (response.upgrade) co_return co_await hand_over(response);
    bool old = parser_.head().minor_version == 0;
    bool to_head = parser_.head().method == "HEAD";
    bool has_body = body_allowed(response.status);
    if (response.stream && has_body && !to_head) {
        if (old) keep_alive_ = false;
        std::string head = response_head(response, !old, true);
        co_return co_await send_stream(response, std::move(head));
    }
    std::string message = response_head(response, response.stream && !old && has_body, has_body);
    if (has_body && !to_head) message.append(response.body);
    watchdog_.expect("sending the response", context_.limits.write);
    co_return co_await stream_.write(message);
}

/// Frames what a producer writes.
class Connection::Writer final : public BodyWriter {
 public:
    Writer(Connection& connection, bool chunked) : connection_(connection), chunked_(chunked) {}

    Task<Result<void>> write(core::BytesView bytes) override {
        if (bytes.empty()) return done();  // an empty chunk would end the body
        if (!chunked_) return send(core::Bytes(bytes));
        return send(std::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
    }
    Task<Result<void>> end() {
        if (!chunked_) return done();
        return send("0\r\n\r\n");
    }

 private:
    static Task<Result<void>> done() { co_return Result<void>(); }
    Task<Result<void>> send(core::Bytes bytes) {
        connection_.watchdog_.expect("sending the response", connection_.context_.limits.write);
        auto sent = co_await connection_.stream_.write(bytes);
        connection_.watchdog_.rest();
        co_return sent;
    }

    Connection& connection_;
    bool chunked_;
};

namespace {

Task<Result<void>> produce(BodyProducer& producer, BodyWriter& writer) {
    co_return co_await producer(writer);
}

}  // namespace

Task<Result<void>> Connection::send_stream(Response& response, std::string head) {
    CO_TRY(co_await stream_.write(head));
    watchdog_.rest();
    Writer writer(*this, parser_.head().minor_version > 0);
    Cancellation* outer = co_await current_cancellation();
    Cancellation streaming(outer);
    Scope watchers(context_.loop);
    watchers.spawn(watch_client(streaming));
    Under<Result<void>> under{produce(response.stream, writer), &streaming};
    auto produced = co_await under;
    co_await watchers.close();
    if (!produced) {
        cut_ = true;  // no end of the body: the client must see that it is cut
        co_return produced;
    }
    co_return co_await writer.end();
}

/// The last of this connection's HTTP. A server that closes does not wait for its end: it may run for days.
Task<Result<void>> Connection::hand_over(Response& response) {
    keep_alive_ = false;
    std::string head = response_head(response, false, false);
    watchdog_.expect("sending the response", context_.limits.write);
    CO_TRY(co_await stream_.write(head));
    watchdog_.rest();
    idle_ = true;
    co_await response.upgrade(stream_, core::Bytes(std::exchange(unparsed_, {})));
    idle_ = false;
    co_return Result<void>();
}

/// While a response streams, notices a client that goes away; requests it sends meanwhile are kept.
Task<void> Connection::watch_client(Cancellation& streaming) {
    if (parser_.state() != Parser::State::kDone || !unparsed_.empty()) co_return;
    auto count = co_await stream_.read(input_.data(), input_.size());
    if (count && *count > 0) {
        unparsed_ = core::BytesView(input_).substr(0, *count);
        co_return;
    }
    bool told_to_stop = !count && count.error().code == Errc::kCancelled;
    if (told_to_stop) co_return;
    streaming.cancel(core::Error{Errc::kCancelled, "the client went away", 0});
}

Task<void> Connection::refuse(int status, std::string_view reason) {
    keep_alive_ = false;
    Response response = Response::text(status, std::string(reason) + "\n");
    std::string message = response_head(response, false, true) + response.body;
    auto sent = co_await stream_.write(message);
    context_.logger.debug("request refused", {{"peer", info_.peer}, {"status", status}, {"reason", reason}});
    static_cast<void>(sent);
}

}  // namespace smackd::net::http
