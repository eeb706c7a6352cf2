// The node's side of leases (core/apps/leases.h): renews those of its tasks while the state says that they
// are its own.
#pragma once

#include <set>
#include <string>

#include "core/apps/leases.h"
#include "core/callback.h"
#include "core/logger.h"
#include "net/scope.h"
#include "net/sync.h"
#include "net/worker_pool.h"
#include "services/agent/task_runner.h"
#include "storage/state/reader.h"

namespace smackd::services {

using OwnTasks = std::set<std::string>;
/// Asks which tasks are this node's own still, of a state that has everything acknowledged before the call.
using AskOwnTasks = core::Callback<net::Task<core::Result<OwnTasks>>()>;

/// How long one question may take, and how long after a failed one the next is asked.
inline constexpr core::Duration kLeaseAnswerLimit = core::seconds(3);
inline constexpr core::Duration kLeaseRetry = core::milliseconds(500);

/// The answer, of the state as this server has it: to be asked after a barrier.
net::Task<core::Result<OwnTasks>> read_own_tasks(net::Loop& loop, net::WorkerPool& workers,
                                                 storage::state::ReaderOptions reader, core::NodeId node);

/// Loop thread only.
class LeaseKeeper {
 public:
    /// All outlive it.
    LeaseKeeper(net::Loop& loop, agent::TaskRunner& runner, AskOwnTasks ask, core::Logger logger);

    /// Waits until the state says that the task is this node's own; until when it may run then, by
    /// net::boot_time_ms(). An error: the wait was cancelled.
    net::Task<core::Result<int64_t>> grant(std::string task);
    /// Renews it from now on, until drop().
    void keep(const std::string& task);
    void drop(const std::string& task) { kept_.erase(task); }
    net::Task<void> close();

 private:
    net::Task<void> run();
    net::Task<core::Result<void>> renew();
    net::Task<void> tell(std::string task, int64_t until_ms);

    net::Loop& loop_;
    agent::TaskRunner& runner_;
    AskOwnTasks ask_;
    core::Logger logger_;
    std::set<std::string> kept_;
    net::Event wanted_;
    net::Scope scope_;
};

}  // namespace smackd::services
