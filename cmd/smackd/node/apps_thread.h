// The thread of applications on a server: the leader's scheduler, and what runs on this node.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/exec_orders.h"
#include "cmd/smackd/node/exec_sessions.h"
#include "cmd/smackd/node/local_tasks.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/state_gateway.h"
#include "net/system_random.h"
#include "services/api/tasks_door.h"
#include "services/apps/edge_issuer.h"
#include "services/apps/scheduler.h"

namespace smackd::cmd {

/// All outlive it.
struct AppsEnvironment {
    core::Disk& disk;
    core::Clock& clock;
    net::WorkerPool& workers;
    core::Logger logger;
    Consensus& consensus;
    storage::feed::Hub& hub;
    storage::state::ReaderOptions reader;
    core::Callback<std::vector<services::LiveMember>()> liveness;  ///< any thread
    services::EdgeIssuer issuer;
    /// Peers::order; any thread, as `done`.
    core::Callback<void(core::NodeId, std::string, core::Bytes,
                        core::Callback<void(core::Result<core::Bytes>)>)>
        order;
    AskForTask ask_for_task;
};

class AppsThread final : public services::TasksDoor {
 public:
    /// Starts the thread; what follows happens on it.
    AppsThread(LocalTasksOptions options, AppsEnvironment environment);
    /// stop() when that was not called.
    ~AppsThread() override;
    /// Tasks go on, unless the node `leaves` the cluster. Idempotent.
    void stop(bool leaves = false);
    /// Any thread: role or leader changed.
    void consensus_changed();
    /// What another server asks of this node (task_orders.h); any thread, `done` on this object's.
    void answer(std::string method, core::Bytes request,
                core::Callback<void(core::Result<core::Bytes>)> done);

    net::Task<core::Result<agent::LogPiece>> read_log(net::Loop& caller, std::string task,
                                                      agent::LogStream stream, uint64_t offset,
                                                      size_t length) override;
    net::Task<core::Result<std::vector<services::UsageSample>>> node_usage(net::Loop& caller,
                                                                           core::NodeId node,
                                                                           int64_t since_ms) override;
    net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> exec(net::Loop& caller, std::string task,
                                                                      wire::ShimExec what) override;

 private:
    net::Task<void> run();
    net::Task<core::Result<void>> follow();
    net::Task<core::Result<wire::CommandResult>> propose_as_machine(wire::Command command);
    net::Task<core::Result<services::OwnTasks>> own_tasks();
    net::Task<core::Result<wire::EdgeIssuedCertificates>> certificates(wire::EdgeCertificateRequest request);
    net::Task<core::Result<agent::LogPiece>> find_log(std::string task, agent::LogStream stream,
                                                      uint64_t offset, size_t length);
    net::Task<core::Result<std::vector<services::UsageSample>>> find_usage(core::NodeId node,
                                                                           int64_t since_ms);
    net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> open_exec(std::string task,
                                                                           wire::ShimExec what);
    /// Asks another node.
    net::Task<core::Result<core::Bytes>> order(core::NodeId node, std::string_view method,
                                               core::Bytes request);
    /// Runs `work` on this object's thread; its result goes to `caller`'s.
    template <class T, class Work>
    net::Task<core::Result<T>> run_for(net::Loop& caller, Work work);
    void decide_role();

    NodeIdentity identity_;
    AppsEnvironment environment_;
    LoopThread thread_;
    LoopThread sockets_;  // of tasks
    net::Scope scope_;
    net::SystemRandom random_;
    StateGateway state_;
    services::AppsFollower follower_;
    std::unique_ptr<LocalTasks> local_;
    ExecSessions exec_sessions_;
    ExecOrders exec_orders_;
    std::unique_ptr<services::Scheduler> scheduler_;
    core::TimerId role_timer_ = 0;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
