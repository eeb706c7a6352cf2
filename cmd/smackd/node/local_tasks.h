// What this node itself does for applications: it runs its tasks, says what it has for them, and tells its
// edge where all of them are. A server's model is the state's, an agent's that of its copy.
//
// A node that cannot run tasks says why by an alarm in its log, and that it cannot by its capacity, which
// `smackd status` makes an alarm of on every server. It goes on without, and tries again.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node/edge_certificates.h"
#include "cmd/smackd/node/edge_process.h"
#include "cmd/smackd/node/edge_settings.h"
#include "cmd/smackd/node/node_usage.h"
#include "cmd/smackd/node/task_identities.h"
#include "net/scope.h"
#include "net/tls/tls.h"
#include "services/apps/agent.h"
#include "services/images/images.h"

namespace smackd::apps {
struct Overlay;
}

namespace smackd::cmd {

/// How long tasks have to end when the demo stops.
inline constexpr core::Duration kEndTasksLimit = core::seconds(4);
/// What of the machine is kept for the node itself.
inline constexpr uint64_t kMemoryKeptBytes = 512 * core::kMiB;
/// After this what could not be started is tried again.
inline constexpr core::Duration kTasksRetry = core::seconds(30);
/// How often the machine is looked at: its disk and its resolver. The state changes more often.
inline constexpr core::Duration kMachineLook = core::seconds(5);
/// A new table for the edge takes at most one part in so many of the loop's time: of many changes at once the
/// edge sees the last.
inline constexpr int kEdgeTablePauses = 4;
/// After the state could not be told what the node has.
inline constexpr core::Duration kAnnounceRetry = core::seconds(1);

struct LocalTasksOptions {
    DataDirectory directory{{}};
    NodeIdentity identity;
    TasksConfig tasks;
    EdgeSetup edge;
    bool behind_nat = false;  ///< other nodes do not reach this one
    bool demo = false;        ///< tasks end when it stops; their ports are published on the bridge's gateway
    std::vector<std::string> insecure_registries{};
    std::vector<std::string> allowed_addresses{};
};

struct NodeOptions;
LocalTasksOptions local_tasks_options(const NodeOptions& node, const NodeIdentity& identity);

class LocalTasks {
 public:
    /// All outlive it.
    struct Environment {
        net::Loop& loop;
        core::Disk& disk;
        core::Clock& clock;
        net::WorkerPool& workers;
        core::Logger logger;
        /// Proposes a command as this machine.
        core::Callback<net::Task<core::Result<wire::CommandResult>>(wire::Command)> propose;
        services::AskOwnTasks own_tasks;
        IssueCertificates certificates;
        net::Loop& sockets;  ///< of tasks; another thread's, so that what they send there delays nothing else
        AskForTask ask_for_task;
    };
    /// Loop thread, as everything here.
    LocalTasks(LocalTasksOptions options, Environment environment);
    ~LocalTasks();

    /// Starts what is to run here and does not yet, unless it failed less than kTasksRetry ago.
    net::Task<void> start();
    /// The state as it is now, and who leads. The model outlives close().
    void look(const services::AppsModel& model, core::NodeId leader,
              const services::Definitions& definitions = {});
    /// The node has left the cluster: close() ends tasks and edge, as it does for a demo.
    void leave() { ends_ = true; }
    /// Tasks and edge go on, but as above.
    net::Task<void> close();

    /// Errors of TaskRunner::read_log; kUnavailable when this node runs no tasks.
    core::Result<agent::LogPiece> read_log(const std::string& task, agent::LogStream stream, uint64_t offset,
                                           size_t length);
    /// How busy the machine has been.
    std::vector<services::UsageSample> usage(int64_t since_ms) const { return usage_.usage(since_ms); }
    /// Errors of TaskRunner::exec; kUnavailable as above. The session goes before close().
    net::Task<core::Result<std::unique_ptr<agent::ExecSession>>> exec(std::string task, wire::ShimExec what);

 private:
    net::Task<core::Result<void>> start_tasks();
    net::Task<core::Result<void>> start_images();
    core::Result<void> start_identities();
    core::Result<void> start_edge();
    bool wants_edge() const { return options_.edge.config.run.value_or(options_.tasks.run); }
    net::Task<core::Result<void>> release(std::string task);
    void note(std::string problem);
    wire::NodeCapacity capacity() const;
    std::string host_address() const;
    bool must_announce() const;
    net::Task<void> announce();
    net::Task<core::Result<void>> announce_once();
    void tell_images();
    void tell_edge();
    void tell_edge_soon();
    void look_at_machine();
    void add_certificates(wire::EdgeTable& table);
    void open_service_ports(const wire::EdgeTable& table);
    net::Task<void> set_service_ports();
    void tell_network();
    net::Task<void> set_network();
    void note_network();
    bool takes_part() const;
    void add_network(wire::NodeCapacity& capacity) const;
    wire::LauncherNetwork network_of(const apps::Overlay& overlay) const;
    net::Task<void> leave_subnet();
    net::Task<void> end_tasks();

    LocalTasksOptions options_;
    Environment environment_;
    net::Scope scope_;
    NodeUsage usage_;
    net::TlsEngine tls_;
    std::string address_;  // found at the start
    std::string problem_;  // why no tasks run here
    core::Instant again_;  // nothing is tried before
    bool tried_ = false;
    const services::AppsModel* model_ = nullptr;
    core::NodeId leader_;
    std::unique_ptr<agent::TaskRunner> runner_;
    std::unique_ptr<services::images::Images> images_;
    std::unique_ptr<services::ImageSource> image_source_;
    std::unique_ptr<TaskIdentities> identities_;
    std::unique_ptr<services::Agent> agent_;
    std::unique_ptr<EdgeProcess> edge_;
    std::unique_ptr<EdgeCertificates> certificates_;  // with edge_
    std::vector<std::string> node_addresses_;         // that images_ knows of
    std::set<uint32_t> service_ports_;                // of the node, that tasks may reach
    std::set<uint32_t> host_udp_ports_;               // of tasks in host mode, likewise
    wire::LauncherNetwork network_;                   // that the runner was told
    bool network_told_ = false;
    // Why some tasks of other nodes are not reached: by the state, by this machine, and what was told.
    std::vector<std::string> overlay_problems_;
    std::vector<std::string> launcher_problems_;
    std::string overlay_failure_;  // why none of them is
    std::vector<std::string> network_problems_;
    std::set<uint64_t> connected_;  // nodes whose tasks are reached by address
    bool ends_ = false;             // what runs here ends with this
    bool setting_ports_ = false;
    bool setting_network_ = false;
    bool leaving_subnet_ = false;
    bool announcing_ = false;
    bool telling_edge_ = false;
    bool edge_behind_ = false;        // it is to be told what it was not yet
    core::Instant edge_pause_end_{};  // it is told nothing before
    std::optional<core::Instant> machine_seen_;
    wire::Resources machine_;  // what it has for tasks
};

}  // namespace smackd::cmd
