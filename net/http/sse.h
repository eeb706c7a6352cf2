// Server-sent events (WHATWG HTML, section 9.2): one event per write, comments as heartbeats.
#pragma once

#include <string>
#include <string_view>

#include "core/units.h"
#include "net/http/message.h"
#include "net/sync.h"

namespace smackd::net::http {

inline constexpr core::Duration kSseHeartbeat = std::chrono::seconds(15);

struct SseEvent {
    std::string id;    ///< empty: none; no line breaks
    std::string name;  ///< the "event" field; empty: "message"; no line breaks
    std::string data;  ///< any text; line breaks become several data lines
};

/// The event as it goes over the wire. A line break in id or name is dropped, so that nothing can be forged.
std::string format_sse(const SseEvent& event);

/// Writes events to a client; what a handler's stream producer uses.
class EventStream {
 public:
    explicit EventStream(BodyWriter& writer) : writer_(writer) {}
    Task<core::Result<void>> send(SseEvent event);
    /// How long a client waits before it reconnects.
    Task<core::Result<void>> retry(core::Duration after);
    Task<core::Result<void>> heartbeat();

 private:
    BodyWriter& writer_;
};

/// A response whose body is what `produce` sends. Use: `return sse_response([&](EventStream& events) { return
/// f(events); });`
Response sse_response(core::Callback<Task<core::Result<void>>(EventStream&)> produce);

/// Sends what comes into `queue`, and a heartbeat when nothing came for kSseHeartbeat; returns when the queue
/// closes or the client is gone. `heartbeat` can be shorter in tests.
Task<core::Result<void>> pump_events(Loop& loop, EventStream& events, Queue<SseEvent>& queue,
                                     core::Duration heartbeat = kSseHeartbeat);

}  // namespace smackd::net::http
