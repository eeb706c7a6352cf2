// What servers ask of another node, as methods of wire.NodeOrder: the log of a task there, and how busy it
// is.
#pragma once

#include <string>
#include <string_view>

#include "cmd/smackd/node/local_tasks.h"
#include "core/wire/orders.pb.h"

namespace smackd::cmd {

inline constexpr std::string_view kTaskLogOrder = "task.log";
inline constexpr std::string_view kNodeUsageOrder = "node.usage";

/// On the node, with its tasks; nullptr: it is stopping. kUnsupported for a method of a newer version.
core::Result<core::Bytes> answer_order(LocalTasks* tasks, std::string_view method, core::BytesView request);

core::Bytes task_log_request(const std::string& task, agent::LogStream stream, uint64_t offset,
                             size_t length);
core::Result<agent::LogPiece> task_log_piece(core::BytesView answer);

core::Bytes node_usage_request(int64_t since_ms);
core::Result<std::vector<services::UsageSample>> node_usage_samples(core::BytesView answer);

}  // namespace smackd::cmd
