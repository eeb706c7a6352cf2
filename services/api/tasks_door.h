// What the API needs of the tasks that run on this node.
#pragma once

#include <memory>
#include <string>

#include "net/task.h"
#include "services/agent/task_runner.h"

namespace smackd::services {

/// The tasks live on a loop of their own; answers arrive on the caller's.
class TasksDoor {
 public:
    virtual ~TasksDoor() = default;
    /// Errors of TaskRunner::read_log; kUnavailable when this node runs no tasks.
    virtual net::Task<core::Result<agent::LogPiece>> read_log(net::Loop& caller, std::string task,
                                                              agent::LogStream stream, uint64_t offset,
                                                              size_t length) = 0;
    /// Errors of TaskRunner::exec; kUnavailable as above. The session is used on `caller`, and goes without
    /// close().
    virtual net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> exec(net::Loop& caller,
                                                                              std::string task,
                                                                              wire::ShimExec what) = 0;
};

}  // namespace smackd::services
