// What a client or server sends on a WebSocket: frames cut anywhere give the same messages, all within the
// limits; and what is framed in pieces comes out whole.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/assert.h"
#include "core/utf8.h"
#include "net/http/websocket.h"

using namespace smackd;
using namespace smackd::net::http;
using Kind = WebSocketMessage::Kind;

namespace {

constexpr size_t kMessageBytesMax = 4096;
constexpr uint32_t kMask = 0x37fa213d;

struct Told {
    std::vector<std::string> messages;
    uint16_t close_code = 0;
    bool operator==(const Told&) const = default;
};

Told told(WebSocketRole role, std::string_view bytes, size_t piece) {
    WebSocketDecoder decoder(role, kMessageBytesMax);
    Told all;
    while (!bytes.empty()) {
        decoder.feed(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        for (;;) {
            auto next = decoder.next();
            if (!next) {
                all.close_code = decoder.close_code();
                SMACK_ASSERT(valid_close_code(all.close_code));
                return all;
            }
            if (!*next) break;
            const WebSocketMessage& message = **next;
            SMACK_ASSERT(message.bytes.size() <= kMessageBytesMax);
            const bool text = message.kind == Kind::kText || message.kind == Kind::kClose;
            SMACK_ASSERT(!text || core::is_utf8(message.bytes));
            SMACK_ASSERT(message.kind != Kind::kClose || message.close_code == kCloseNone ||
                         valid_close_code(message.close_code));
            all.messages.push_back(static_cast<char>(message.kind) + std::to_string(message.close_code) +
                                   message.bytes);
        }
    }
    return all;
}

/// A frame of a fragmented binary message.
core::Bytes fragment(std::string_view payload, bool first, bool last) {
    core::Bytes frame = websocket_frame(Kind::kBinary, payload, kMask);
    frame[0] = static_cast<char>((last ? 0x80 : 0) | (first ? static_cast<uint8_t>(Kind::kBinary) : 0));
    return frame;
}

void check_whole(std::string_view payload) {
    payload = payload.substr(0, kMessageBytesMax);
    const size_t middle = payload.size() / 3;
    WebSocketDecoder decoder(WebSocketRole::kServer, kMessageBytesMax);
    decoder.feed(fragment(payload.substr(0, middle), true, false));
    decoder.feed(websocket_frame(Kind::kPing, "", kMask));
    decoder.feed(fragment(payload.substr(middle), false, true));
    auto ping = decoder.next();
    SMACK_ASSERT(ping && *ping && (*ping)->kind == Kind::kPing);
    auto message = decoder.next();
    SMACK_ASSERT(message && *message && (*message)->kind == Kind::kBinary && (*message)->bytes == payload);
    decoder.feed(websocket_frame(Kind::kClose, websocket_close_payload(kCloseNormal, payload), kMask));
    auto close = decoder.next();
    SMACK_ASSERT(!core::is_utf8(payload) || (close && *close && payload.starts_with((*close)->bytes)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const WebSocketRole role : {WebSocketRole::kServer, WebSocketRole::kClient}) {
        const Told whole = told(role, bytes, size + 1);
        SMACK_ASSERT(told(role, bytes, 1) == whole && told(role, bytes, 7) == whole);
    }
    check_whole(bytes);
    return 0;
}
