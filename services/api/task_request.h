// A task's request between its node, which takes it from the task's socket, and a server, which answers it.
// Pure.
//
// What crosses is what this lists, not what the task sent: no credentials (the socket is the identity),
// nothing that the handlers do not read. The server checks again what the node says; it believes it the
// task's name alone, and that only of the node's own tasks (task_caller.h).
#pragma once

#include <memory>
#include <string>

#include "core/units.h"
#include "core/wire/task_door.pb.h"
#include "net/http/message.h"

namespace smackd::services {

inline constexpr size_t kTaskTargetBytesMax = 4 * core::kKiB;
inline constexpr size_t kTaskBodyBytesMax = 64 * core::kKiB;
inline constexpr size_t kTaskAnswerBytesMax = 1 * core::kMiB;

/// On the node. kInvalid for a method or target that is none here, for credentials and for more bytes than
/// above.
core::Result<wire::TaskRequest> task_request_of(std::string task, const net::http::Request& request,
                                                core::Bytes body);

/// On the server: the request with the body that it reads from.
struct TaskHttpRequest {
    net::http::Request request;
    std::unique_ptr<net::http::BodyReader> body;
};
/// kInvalid for what task_request_of() would not have made.
core::Result<TaskHttpRequest> http_request_of(wire::TaskRequest request);

/// kUnsupported for an answer that streams, kInvalid for one longer than kTaskAnswerBytesMax.
core::Result<wire::TaskResponse> task_response_of(net::http::Response response);
/// On the node. kCorrupt for what is no answer.
core::Result<net::http::Response> http_response_of(wire::TaskResponse response);

}  // namespace smackd::services
