// The change feed in the words of Marathon's event bus.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "net/http/sse.h"
#include "storage/feed/record.h"

namespace smackd::services {

/// What Marathon's clients are told of a change, in order; nothing for changes they do not know.
std::vector<net::http::SseEvent> marathon_events(const storage::feed::Record& record);
net::http::SseEvent marathon_event(std::string name, core::Json body, int64_t time_ms);

}  // namespace smackd::services
