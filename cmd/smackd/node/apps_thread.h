// The thread of applications: the leader's scheduler, the agent that runs this node's tasks, and what its
// edge is told.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/edge_process.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/state_gateway.h"
#include "net/system_random.h"
#include "services/api/tasks_door.h"
#include "services/apps/agent.h"
#include "services/apps/scheduler.h"
#include "services/images/images.h"

namespace smackd::cmd {

/// How long tasks have to end when the demo stops.
inline constexpr core::Duration kEndTasksLimit = core::seconds(4);

/// What of the machine is kept for the node itself.
inline constexpr uint64_t kMemoryKeptBytes = 512 * core::kMiB;

struct AppsOptions {
    DataDirectory directory{{}};
    NodeIdentity identity;
    bool runs_tasks = true;           ///< else this server only decides
    bool ends_tasks_on_stop = false;  ///< the demo
    std::string host_address;         ///< IP that host ports are published on; empty: the bridge's gateway
    std::string subnet = "auto";      ///< of the bridge
    std::pair<uint16_t, uint16_t> host_ports{31000, 32000};
    std::vector<std::string> insecure_registries{};
    std::vector<std::string> allowed_addresses{};
    EdgeSetup edge;
};

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
};

class AppsThread final : public services::TasksDoor {
 public:
    /// Starts the thread; what follows happens on it.
    AppsThread(AppsOptions options, AppsEnvironment environment);
    /// stop() when that was not called.
    ~AppsThread() override;
    /// Tasks go on. Idempotent.
    void stop();
    /// Any thread: role or leader changed.
    void consensus_changed();

    net::Task<core::Result<agent::LogPiece>> read_log(net::Loop& caller, std::string task,
                                                      agent::LogStream stream, uint64_t offset,
                                                      size_t length) override;

 private:
    net::Task<void> run();
    net::Task<void> end_tasks();
    net::Task<core::Result<void>> start_agent();
    net::Task<core::Result<void>> follow();
    net::Task<core::Result<void>> report_capacity();
    net::Task<core::Result<void>> release(std::string task);
    net::Task<core::Result<wire::CommandResult>> propose_as_machine(wire::Command command);
    wire::NodeCapacity capacity() const;
    std::string host_address() const;
    void tell_edge();
    void open_service_ports(const wire::EdgeTable& table);
    net::Task<void> set_service_ports();
    void decide_role();

    AppsOptions options_;
    AppsEnvironment environment_;
    LoopThread thread_;
    net::Scope scope_;
    net::TlsEngine tls_;
    net::SystemRandom random_;
    StateGateway state_;
    services::AppsFollower follower_;
    std::unique_ptr<agent::TaskRunner> runner_;
    std::unique_ptr<services::images::Images> images_;
    std::unique_ptr<services::ImageSource> image_source_;
    std::unique_ptr<services::Agent> tasks_;
    std::unique_ptr<services::Scheduler> scheduler_;
    std::unique_ptr<EdgeProcess> edge_;
    std::set<uint32_t> service_ports_;  // of the node, that tasks may reach
    bool setting_ports_ = false;
    core::TimerId role_timer_ = 0;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
