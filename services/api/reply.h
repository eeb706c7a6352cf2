// The two shapes of an answer: a JSON value, or {"error": {"code", "message", "retry_after_ms"}}.
#pragma once

#include "core/json.h"
#include "core/result.h"
#include "net/http/message.h"

namespace smackd::services {

/// JSON that no cache keeps and no browser reinterprets.
net::http::Response json_reply(int status, const core::Json& body);

/// The error with core::http_status of its code, and Retry-After (whole seconds, at least 1) where it has a
/// hint or its code means "later".
net::http::Response error_reply(const core::Error& error);
/// The same with another status (400 for a malformed head, 405).
net::http::Response error_reply(const core::Error& error, int status);

core::Json error_to_json(const core::Error& error);

}  // namespace smackd::services
