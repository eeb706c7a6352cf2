#include "net/http/websocket.h"

#include <algorithm>
#include <array>

#include "core/dns/sha1.h"
#include "core/planted.h"
#include "core/utf8.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;
using Kind = WebSocketMessage::Kind;

namespace {

constexpr std::string_view kAcceptSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3
constexpr size_t kKeyBytes = 16;
constexpr int kUpgradeRequired = 426;
constexpr int kBadRequest = 400;

constexpr uint8_t kFinalBit = 0x80;
constexpr uint8_t kReservedBits = 0x70;
constexpr uint8_t kOpcodeBits = 0x0f;
constexpr uint8_t kMaskBit = 0x80;
constexpr uint8_t kLengthBits = 0x7f;
constexpr uint8_t kLength16 = 126;
constexpr uint8_t kLength64 = 127;
constexpr size_t kMaskBytes = 4;

uint64_t big_endian(core::BytesView bytes) {
    uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
}

void put_big_endian(core::Bytes& out, uint64_t value, size_t bytes) {
    for (size_t left = bytes; left > 0; --left) out.push_back(static_cast<char>(value >> 8 * (left - 1)));
}

void apply_mask(core::Bytes& bytes, uint32_t mask) {
    for (size_t at = 0; at < bytes.size(); ++at)
        bytes[at] = static_cast<char>(static_cast<uint8_t>(bytes[at]) ^ (mask >> 8 * (3 - at % 4) & 0xff));
}

bool is_control(uint8_t opcode) {
    return opcode >= static_cast<uint8_t>(Kind::kClose);
}

}  // namespace

bool valid_close_code(uint16_t code) {
    if (code >= 3000 && code <= 4999) return true;
    const bool reserved = code == 1004 || code == kCloseNone || code == 1006;
    return code >= kCloseNormal && code <= 1014 && !reserved;
}

std::unexpected<core::Error> WebSocketDecoder::broken(uint16_t code, std::string_view rule) {
    close_code_ = code;
    return core::fail(Errc::kInvalid, "WebSocket: {}", rule);
}

Result<void> WebSocketDecoder::check(const Frame& frame, uint64_t length) {
    if (is_control(frame.opcode)) {
        if (frame.opcode > static_cast<uint8_t>(Kind::kPong))
            return broken(kCloseProtocol, "the frame's opcode is not known");
        if (!frame.final) return broken(kCloseProtocol, "a control frame must not be fragmented");
        if (length > kWebSocketControlBytesMax)
            return broken(kCloseProtocol, "a control frame must not be longer than 125 bytes");
        return {};
    }
    if (frame.opcode > static_cast<uint8_t>(Kind::kBinary))
        return broken(kCloseProtocol, "the frame's opcode is not known");
    if (frame.opcode == 0 && !kind_) return broken(kCloseProtocol, "there is no message to continue");
    if (frame.opcode != 0 && kind_) return broken(kCloseProtocol, "the message before is not complete");
    if (length > message_bytes_max_ - message_.size())
        return broken(kCloseTooLong, std::format("a message is longer than {} bytes", message_bytes_max_));
    if (fragments_ >= kWebSocketFragmentsMax)
        return broken(kCloseTooLong,
                      std::format("a message has more than {} frames", kWebSocketFragmentsMax));
    return {};
}

/// A frame of which all bytes are there. What its first bytes tell is checked before the rest is waited for.
Result<std::optional<WebSocketDecoder::Frame>> WebSocketDecoder::read_header() {
    if (input_.size() < 2) return std::nullopt;
    const auto first = static_cast<uint8_t>(input_[0]);
    const auto second = static_cast<uint8_t>(input_[1]);
    if ((first & kReservedBits) != 0) return broken(kCloseProtocol, "a reserved bit is set");
    const bool masked = (second & kMaskBit) != 0;
    if (masked != (role_ == WebSocketRole::kServer))
        return broken(kCloseProtocol,
                      masked ? "a server's frame must not be masked" : "a client's frame must be masked");
    uint64_t length = second & kLengthBits;
    const size_t extra = length == kLength64 ? 8 : length == kLength16 ? 2 : 0;
    Frame frame{.final = (first & kFinalBit) != 0,
                .opcode = static_cast<uint8_t>(first & kOpcodeBits),
                .header_bytes = 2 + extra + (masked ? kMaskBytes : 0)};
    if (input_.size() < 2 + extra) return std::nullopt;
    if (extra > 0) {
        length = big_endian(core::BytesView(input_).substr(2, extra));
        if (length < (extra == 2 ? kLength16 : 1U << 16))
            return broken(kCloseProtocol, "the length must have its shortest form");
    }
    TRY(check(frame, length));
    if (input_.size() < frame.header_bytes) return std::nullopt;
    if (masked)
        frame.mask = static_cast<uint32_t>(big_endian(core::BytesView(input_).substr(2 + extra, kMaskBytes)));
    frame.payload_bytes = static_cast<size_t>(length);
    if (input_.size() - frame.header_bytes < frame.payload_bytes) return std::nullopt;
    return frame;
}

core::Bytes WebSocketDecoder::take(const Frame& frame) {
    core::Bytes payload = input_.substr(frame.header_bytes, frame.payload_bytes);
    input_.erase(0, frame.header_bytes + frame.payload_bytes);
    apply_mask(payload, frame.mask);
    return payload;
}

Result<std::optional<WebSocketMessage>> WebSocketDecoder::next() {
    for (;;) {
        TRY_ASSIGN(const std::optional<Frame> frame, read_header());
        if (!frame) return std::nullopt;
        core::Bytes payload = take(*frame);
        TRY_ASSIGN(auto message, is_control(frame->opcode) ? control(*frame, std::move(payload))
                                                           : add(*frame, std::move(payload)));
        if (message) return message;
    }
}

Result<std::optional<WebSocketMessage>> WebSocketDecoder::control(const Frame& frame, core::Bytes payload) {
    WebSocketMessage message{.kind = static_cast<Kind>(frame.opcode), .bytes = std::move(payload)};
    if (message.kind != Kind::kClose) return message;
    message.close_code = kCloseNone;
    if (message.bytes.empty()) return message;
    if (message.bytes.size() < 2) return broken(kCloseProtocol, "a close code has two bytes");
    message.close_code = static_cast<uint16_t>(big_endian(core::BytesView(message.bytes).substr(0, 2)));
    message.bytes.erase(0, 2);
    if (!valid_close_code(message.close_code)) return broken(kCloseProtocol, "the close code is none");
    if (!core::is_utf8(message.bytes)) return broken(kCloseNotUtf8, "the close reason is not UTF-8");
    return message;
}

Result<std::optional<WebSocketMessage>> WebSocketDecoder::add(const Frame& frame, core::Bytes payload) {
    if (frame.opcode != 0) kind_ = static_cast<Kind>(frame.opcode);
    message_.append(payload);
    if (SMACK_BUG("fuzz_websocket") && fragments_ > 0 && !payload.empty()) message_.pop_back();
    ++fragments_;
    if (!frame.final) return std::nullopt;
    WebSocketMessage message{.kind = *kind_, .bytes = std::exchange(message_, {})};
    kind_.reset();
    fragments_ = 0;
    if (message.kind == Kind::kText && !core::is_utf8(message.bytes))
        return broken(kCloseNotUtf8, "a text message is not UTF-8");
    return message;
}

core::Bytes websocket_frame(Kind kind, core::BytesView payload, std::optional<uint32_t> mask) {
    core::Bytes out;
    out.reserve(payload.size() + 14);
    out.push_back(static_cast<char>(kFinalBit | static_cast<uint8_t>(kind)));
    const uint8_t mask_bit = mask ? kMaskBit : 0;
    if (payload.size() < kLength16) {
        out.push_back(static_cast<char>(mask_bit | payload.size()));
    } else if (payload.size() < 1U << 16) {
        out.push_back(static_cast<char>(mask_bit | kLength16));
        put_big_endian(out, payload.size(), 2);
    } else {
        out.push_back(static_cast<char>(mask_bit | kLength64));
        put_big_endian(out, payload.size(), 8);
    }
    if (!mask) return out.append(payload);
    put_big_endian(out, *mask, kMaskBytes);
    core::Bytes masked(payload);
    apply_mask(masked, *mask);
    return out.append(masked);
}

core::Bytes websocket_close_payload(uint16_t code, std::string_view reason) {
    size_t length = std::min(reason.size(), kWebSocketControlBytesMax - 2);
    while (length < reason.size() && length > 0 && (static_cast<uint8_t>(reason[length]) & 0xc0) == 0x80)
        --length;
    core::Bytes payload;
    put_big_endian(payload, code, 2);
    return payload.append(reason.substr(0, length));
}

// ---- the handshake

std::string websocket_accept(std::string_view key) {
    const auto digest = core::dns::sha1(std::string(key).append(kAcceptSalt));
    return core::to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::optional<WebSocketRefusal> check_websocket_request(const Request& request) {
    const Headers& headers = request.headers;
    if (request.method != "GET") return WebSocketRefusal{kBadRequest, "a WebSocket is opened by GET"};
    if (!headers.has_token("Upgrade", "websocket"))
        return WebSocketRefusal{kUpgradeRequired, "Upgrade: must be websocket (RFC 6455)"};
    if (!headers.has_token("Connection", "upgrade"))
        return WebSocketRefusal{kBadRequest, "Connection: must name Upgrade"};
    if (headers.get("Sec-WebSocket-Version") != kWebSocketVersion)
        return WebSocketRefusal{kUpgradeRequired, "Sec-WebSocket-Version: must be 13"};
    const auto keys = headers.all("Sec-WebSocket-Key");
    const auto key = core::from_base64(keys.size() == 1 ? keys[0] : std::string_view());
    if (!key || key->size() != kKeyBytes)
        return WebSocketRefusal{kBadRequest, "Sec-WebSocket-Key: must be sent once, 16 bytes in base64"};
    if (request.expects_body)
        return WebSocketRefusal{kBadRequest, "Content-Length: a WebSocket request has no body"};
    return std::nullopt;
}

Response websocket_response(const Request& request, UpgradeHandler handler) {
    Response response;
    response.status = 101;
    response.headers.add("Upgrade", "websocket");
    response.headers.add("Sec-WebSocket-Accept", websocket_accept(request.headers.get("Sec-WebSocket-Key")));
    response.upgrade = std::move(handler);
    return response;
}

}  // namespace smackd::net::http
