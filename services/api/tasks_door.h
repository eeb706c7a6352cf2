// What the API needs of the nodes: of their tasks, and how busy they are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/task.h"
#include "services/agent/task_runner.h"
#include "services/api/usage_sample.h"

namespace smackd::services {

/// The tasks live on a loop of their own; answers arrive on the caller's.
class TasksDoor {
 public:
    virtual ~TasksDoor() = default;
    /// Of a task on any node. Errors of TaskRunner::read_log; kUnavailable when its node runs no tasks or is
    /// not connected.
    virtual net::Task<core::Result<agent::LogPiece>> read_log(net::Loop& caller, std::string task,
                                                              agent::LogStream stream, uint64_t offset,
                                                              size_t length) = 0;
    /// Samples of a node after `since_ms`, the oldest first; those of the last minutes are kept. kUnavailable
    /// when it is not connected.
    virtual net::Task<core::Result<std::vector<UsageSample>>> node_usage(net::Loop& caller, core::NodeId node,
                                                                         int64_t since_ms) = 0;
    /// Of a task on any node; kUnavailable when that one runs no tasks or is not connected, else errors of
    /// TaskRunner::exec. The session is used on `caller`, and goes without close().
    virtual net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> exec(net::Loop& caller,
                                                                              std::string task,
                                                                              wire::ShimExec what) = 0;
};

}  // namespace smackd::services
