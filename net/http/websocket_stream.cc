#include "net/http/websocket_stream.h"

#include "net/crypto/random.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;
using Kind = WebSocketMessage::Kind;

namespace {

constexpr size_t kReadBytes = 16 * 1024;

/// Nobody who chooses the payload may guess it (RFC 6455 section 10.3).
uint32_t fresh_mask() {
    const core::Bytes bytes = crypto::random_bytes(4);
    uint32_t mask = 0;
    for (const char byte : bytes) mask = mask << 8 | static_cast<uint8_t>(byte);
    return mask;
}

}  // namespace

WebSocket::WebSocket(Loop& loop, Stream& stream, WebSocketRole role, core::Bytes rest)
    : stream_(stream), role_(role), decoder_(role), writing_(loop, 1) {
    decoder_.feed(rest);
}

Task<Result<WebSocketMessage>> WebSocket::read() {
    core::Bytes buffer(kReadBytes, '\0');
    for (;;) {
        auto message = decoder_.next();
        if (!message) {
            auto told = co_await close(decoder_.close_code(), message.error().message);
            static_cast<void>(told);  // what the peer did wrong says more
            co_return core::pass(std::move(message));
        }
        if (!*message) {
            CO_TRY_ASSIGN(const size_t count, co_await stream_.read(buffer.data(), buffer.size()));
            if (count == 0) co_return core::fail(Errc::kUnavailable, "the connection ended without a Close");
            decoder_.feed({buffer.data(), count});
            continue;
        }
        if ((*message)->kind == Kind::kPing && !closing_)
            CO_TRY(co_await write(Kind::kPong, std::move((*message)->bytes)));
        if ((*message)->kind == Kind::kClose) {
            const uint16_t code = (*message)->close_code;
            auto answered = co_await close(code == kCloseNone ? uint16_t{kCloseNormal} : code);
            static_cast<void>(answered);  // it may be gone already
        }
        if ((*message)->kind != Kind::kPing && (*message)->kind != Kind::kPong)
            co_return std::move(**message);
    }
}

Task<Result<void>> WebSocket::write(Kind kind, core::Bytes bytes) {
    SMACK_ASSERT(bytes.size() <= kWebSocketMessageBytesMax);
    return send(kind, std::move(bytes));
}

Task<Result<void>> WebSocket::close(uint16_t code, std::string reason) {
    if (closing_) co_return Result<void>();
    co_return co_await send(Kind::kClose, websocket_close_payload(code, reason));
}

Task<Result<void>> WebSocket::send(Kind kind, core::Bytes payload) {
    CO_TRY(co_await writing_.acquire());
    const Semaphore::Permit permit(writing_);
    if (closing_) co_return core::fail(Errc::kCancelled, "the WebSocket is closed");
    closing_ = kind == Kind::kClose;
    const auto mask = role_ == WebSocketRole::kClient ? std::optional(fresh_mask()) : std::nullopt;
    const core::Bytes frame = websocket_frame(kind, payload, mask);
    co_return co_await stream_.write(frame);
}

}  // namespace smackd::net::http
