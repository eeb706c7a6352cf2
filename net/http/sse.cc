#include "net/http/sse.h"

#include <algorithm>
#include <format>

#include "net/scope.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;

namespace {

void append_field(std::string& out, std::string_view field, std::string_view value) {
    out.append(field).append(": ");
    std::ranges::copy_if(value, std::back_inserter(out),
                         [](char c) { return c != '\n' && c != '\r' && c != '\0'; });
    out.push_back('\n');
}

}  // namespace

std::string format_sse(const SseEvent& event) {
    std::string out;
    if (!event.id.empty()) append_field(out, "id", event.id);
    if (!event.name.empty()) append_field(out, "event", event.name);
    std::string_view data = event.data;
    for (;;) {
        size_t end = std::min(data.find_first_of("\r\n"), data.size());
        out.append("data: ").append(data.substr(0, end)).append("\n");
        if (end == data.size()) break;
        bool pair = data.substr(end, 2) == "\r\n";
        data.remove_prefix(end + (pair ? 2 : 1));
    }
    out.push_back('\n');
    return out;
}

Task<Result<void>> EventStream::send(SseEvent event) {
    std::string text = format_sse(event);
    co_return co_await writer_.write(text);
}

Task<Result<void>> EventStream::retry(core::Duration after) {
    std::string text =
        std::format("retry: {}\n\n", std::chrono::duration_cast<core::milliseconds>(after).count());
    co_return co_await writer_.write(text);
}

Task<Result<void>> EventStream::heartbeat() {
    co_return co_await writer_.write(":\n\n");
}

namespace {

using Producer = core::Callback<Task<Result<void>>(EventStream&)>;

Task<Result<void>> run_producer(Producer& produce, BodyWriter& writer) {
    EventStream events(writer);
    co_return co_await produce(events);
}

}  // namespace

Response sse_response(Producer produce) {
    Response response;
    response.headers.add("Content-Type", "text/event-stream");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("X-Accel-Buffering", "no");  // nginx in front would hold events back
    response.stream = [produce = std::move(produce)](BodyWriter& writer) mutable {
        return run_producer(produce, writer);
    };
    return response;
}

namespace {

Task<Result<SseEvent>> next_event(Queue<SseEvent>& queue) {
    co_return co_await queue.pop();
}

}  // namespace

Task<Result<void>> pump_events(Loop& loop, EventStream& events, Queue<SseEvent>& queue,
                               core::Duration heartbeat) {
    for (;;) {
        auto event = co_await with_deadline(loop, heartbeat, "an event", next_event(queue));
        if (event) {
            CO_TRY(co_await events.send(std::move(*event)));
        } else if (event.error().code == Errc::kTimeout) {
            CO_TRY(co_await events.heartbeat());
        } else if (queue.closed()) {
            co_return Result<void>();
        } else {
            co_return std::unexpected(std::move(event.error()));
        }
    }
}

}  // namespace smackd::net::http
