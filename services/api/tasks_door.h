// What the API needs of the tasks that run on this node.
#pragma once

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
};

}  // namespace smackd::services
