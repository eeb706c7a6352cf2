// WebSocket (RFC 6455): the handshake and the frames; no I/O. websocket_stream.h has a connection.
//
// No extensions and no subprotocols. What a peer sends is checked strictly: masking by role, reserved bits,
// control frames, the order of fragments, UTF-8 of text, close codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/units.h"
#include "net/http/message.h"

namespace smackd::net::http {

inline constexpr std::string_view kWebSocketVersion = "13";
inline constexpr size_t kWebSocketMessageBytesMax = 128 * core::kKiB;  ///< all fragments together
inline constexpr size_t kWebSocketFragmentsMax = 1024;                 ///< of one message
inline constexpr size_t kWebSocketControlBytesMax = 125;               ///< section 5.5

/// Section 7.4.1: why a connection is closed.
enum WebSocketClose : uint16_t {
    kCloseNormal = 1000,
    kCloseGoingAway = 1001,
    kCloseProtocol = 1002,
    kCloseUnsupported = 1003,
    kCloseNone = 1005,  ///< a Close without a code; never sent
    kCloseNotUtf8 = 1007,
    kClosePolicy = 1008,
    kCloseTooLong = 1009,
    kCloseInternal = 1011,
    kCloseTryLater = 1013,
};

struct WebSocketMessage {
    /// By opcode (section 5.2).
    enum class Kind : uint8_t { kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
    Kind kind = Kind::kText;
    core::Bytes bytes{};      ///< UTF-8 when text; of a Close its reason
    uint16_t close_code = 0;  ///< of a Close; kCloseNone when it has none
};

/// The role of whoever decodes: a server takes masked frames only, a client unmasked ones (section 5.1).
enum class WebSocketRole : uint8_t { kServer, kClient };

/// Cuts bytes into messages, whatever pieces they come in.
class WebSocketDecoder {
 public:
    explicit WebSocketDecoder(WebSocketRole role, size_t message_bytes_max = kWebSocketMessageBytesMax)
        : role_(role), message_bytes_max_(message_bytes_max) {}

    void feed(core::BytesView bytes) { input_.append(bytes); }
    /// The next whole message, control messages between fragments included; nothing yet; kInvalid names the
    /// broken rule, and close_code() says it to the peer. After an error the connection is of no use.
    core::Result<std::optional<WebSocketMessage>> next();
    /// Of the error that next() gave.
    uint16_t close_code() const { return close_code_; }

 private:
    struct Frame {
        bool final = false;
        uint8_t opcode = 0;
        size_t header_bytes = 0;
        size_t payload_bytes = 0;
        uint32_t mask = 0;
    };
    core::Result<std::optional<Frame>> read_header();
    core::Result<void> check(const Frame& frame, uint64_t length);
    core::Bytes take(const Frame& frame);
    core::Result<std::optional<WebSocketMessage>> add(const Frame& frame, core::Bytes payload);
    core::Result<std::optional<WebSocketMessage>> control(const Frame& frame, core::Bytes payload);
    std::unexpected<core::Error> broken(uint16_t code, std::string_view rule);

    WebSocketRole role_;
    size_t message_bytes_max_;
    core::Bytes input_;
    core::Bytes message_;                         // fragments so far
    std::optional<WebSocketMessage::Kind> kind_;  // of the message that is being put together
    size_t fragments_ = 0;
    uint16_t close_code_ = 0;
};

/// One final frame. A client gives a mask of its own for each frame, unpredictable to whoever chose the
/// payload (section 10.3); a server none.
core::Bytes websocket_frame(WebSocketMessage::Kind kind, core::BytesView payload,
                            std::optional<uint32_t> mask = std::nullopt);
/// The payload of a Close; the reason is cut to what fits, at a character's border.
core::Bytes websocket_close_payload(uint16_t code, std::string_view reason);
/// Codes that may stand in a Close (section 7.4).
bool valid_close_code(uint16_t code);

/// Why a request opens no WebSocket; `message` names header and rule.
struct WebSocketRefusal {
    int status = 0;  ///< 426 for one that asks for none or for another version; 400 for a malformed one
    std::string message;
};
/// The checks of section 4.2.1; nullopt: it is a good one. A 426 is to have Upgrade and
/// Sec-WebSocket-Version: kWebSocketVersion.
std::optional<WebSocketRefusal> check_websocket_request(const Request& request);
/// 101 for a request that passed check_websocket_request(); the connection is `handler`'s then.
Response websocket_response(const Request& request, UpgradeHandler handler);
/// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

}  // namespace smackd::net::http
