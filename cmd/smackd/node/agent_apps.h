// Applications on an agent: what its copy of the state says of them, and what runs on this node; on a thread
// of its own, so that heartbeats never wait for it. With all servers away it goes on with the copy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/smackd/node/exec_orders.h"
#include "cmd/smackd/node/local_tasks.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/state_copy.h"
#include "net/sync.h"

namespace smackd::cmd {

class AgentApps {
 public:
    /// All outlive it.
    struct Environment {
        core::Disk& disk;
        core::Clock& clock;
        net::WorkerPool& workers;
        const storage::sqlite::Vfs& vfs;
        std::string copy;  ///< path of agent.db, which is there
        core::Logger logger;
        /// Tells a server a serialized wire.Command of this node; `done` on any thread with a serialized
        /// wire.CommandResult. kUnavailable without a server.
        core::Callback<void(core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)> report;
        /// Asks a server for a serialized wire.OwnTasks of this node; as above.
        core::Callback<void(core::Callback<void(core::Result<core::Bytes>)>)> own_tasks;
        /// Asks a server with a serialized wire.EdgeCertificateRequest for wire.EdgeIssuedCertificates; as
        /// above.
        core::Callback<void(core::Bytes, core::Callback<void(core::Result<core::Bytes>)>)> certificates;
        AskForTask ask_for_task;
    };
    /// Starts the thread, with the copy as it is now.
    AgentApps(LocalTasksOptions options, Environment environment);
    /// stop() when that was not called.
    ~AgentApps();
    /// Tasks and edge go on, unless the node `leaves` the cluster. Idempotent. What reports answers them
    /// until it has returned.
    void stop(bool leaves = false);

    // Any thread, in the order of the calls.
    void changed(StateChange change);
    void set_leader(core::NodeId leader);
    /// What a server asks (task_orders.h); `done` on this object's thread.
    void order(std::string method, core::Bytes request, core::Callback<void(core::Result<core::Bytes>)> done);

 private:
    net::Task<void> run();
    net::Task<core::Result<void>> load();
    void apply_pending();
    net::Task<core::Result<wire::CommandResult>> report(wire::Command command);
    net::Task<core::Result<services::OwnTasks>> own_tasks();
    net::Task<core::Result<wire::EdgeIssuedCertificates>> certificates(wire::EdgeCertificateRequest request);

    Environment environment_;
    LoopThread thread_;
    LoopThread sockets_;  // of tasks
    net::Scope scope_;
    net::Event woken_;
    std::unique_ptr<LocalTasks> local_;
    ExecOrders exec_orders_;
    services::AgentModel model_;
    std::vector<wire::AgentRow> pending_;  // changed and not in the model yet
    bool anew_ = true;                     // the model is to be read from the copy
    core::NodeId leader_;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
