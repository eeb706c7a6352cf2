// WebSocket: one end of an open connection (websocket.h) over a Stream. Loop thread only.
#pragma once

#include "net/http/websocket.h"
#include "net/stream.h"
#include "net/sync.h"

namespace smackd::net::http {

/// One reader; any number of writers, one after the other.
class WebSocket {
 public:
    /// `stream` outlives it and carries nothing but this; `rest` is what was read of it already.
    WebSocket(Loop& loop, Stream& stream, WebSocketRole role, core::Bytes rest);
    WebSocket(const WebSocket&) = delete;
    WebSocket& operator=(const WebSocket&) = delete;

    /// The next text or binary message, or the peer's Close, which is answered; nothing comes after it. Pings
    /// are answered meanwhile. kUnavailable when the connection ends without a Close; kInvalid for what
    /// breaks a rule, which the peer is told.
    Task<core::Result<WebSocketMessage>> read();
    /// At most kWebSocketMessageBytesMax bytes. Waits until the connection took it, however long the peer
    /// reads nothing; cancelling that breaks the connection. Nothing is sent after a Close.
    Task<core::Result<void>> write(WebSocketMessage::Kind kind, core::Bytes bytes);
    /// Sends a Close, once.
    Task<core::Result<void>> close(uint16_t code, std::string reason = {});

 private:
    Task<core::Result<void>> send(WebSocketMessage::Kind kind, core::Bytes payload);

    Stream& stream_;
    WebSocketRole role_;
    WebSocketDecoder decoder_;
    Semaphore writing_;
    bool closing_ = false;  // a Close was sent
};

}  // namespace smackd::net::http
