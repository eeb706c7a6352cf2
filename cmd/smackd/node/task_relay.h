// How what a task asks at its socket gets to the API of a server: the calls, with core/wire/task_door.proto
// as bodies. On a server from thread to thread, from an agent by agent RPC under the same names.
#pragma once

#include <string_view>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/result.h"

namespace smackd::cmd {

/// wire.TaskRequest -> wire.TaskResponse
inline constexpr std::string_view kTaskRequestCall = "task.request";
/// wire.TaskTokenRequest -> wire.TaskToken
inline constexpr std::string_view kTaskTokenCall = "task.token";

/// Asks a server in the name of a task of this node. Any thread, as `done`; kUnavailable without a server.
/// `call` is one of the literals above.
using AskForTask =
    core::Callback<void(std::string_view call, core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)>;

}  // namespace smackd::cmd
