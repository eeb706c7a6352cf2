// The consensus thread: the replica on its own loop, with its disk threads and its connections to the other
// servers.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/node/peers.h"
#include "cmd/smackd/node/tls_identities.h"
#include "core/cluster/access.h"
#include "core/logger.h"
#include "core/metrics.h"
#include "net/posix_disk.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "net/thread_executor.h"
#include "net/worker_pool.h"
#include "storage/replica.h"

namespace smackd::cmd {

struct ConsensusOptions {
    DataDirectory directory;
    NodeIdentity identity;
    std::vector<InitialVoter> initial_voters;  ///< used when the log is empty
    std::string cluster_address;               ///< where to listen
    std::string advertised_address;            ///< what the others dial; empty: not known
    std::string software;                      ///< version, for the others
    uint16_t kdc_port = 0;                     ///< of the embedded realm's KDCs; 0: the realm is the site's
};

/// All outlive it.
struct ConsensusEnvironment {
    core::Disk& disk;
    core::Clock& clock;
    net::WorkerPool& workers;
    TlsIdentities& identities;
    core::MetricRegistry& metrics;
    core::Logger logger;
    /// Opens the state; called once, on the consensus thread, which alone uses what it returns.
    core::Callback<core::Result<std::unique_ptr<storage::Fsm>>(core::Executor& checkpoints)> open_state;
};

class Consensus final : public PeerCalls {
 public:
    /// Listens, loads the log and takes part; blocks until that is done or has failed.
    static core::Result<std::unique_ptr<Consensus>> start(ConsensusOptions options,
                                                          ConsensusEnvironment environment);
    /// stop() when that was not called.
    ~Consensus() override;

    /// Any thread; `done` runs on the consensus thread. Proposes here, or at the leader when that is another
    /// server.
    void propose(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done);
    /// Any thread; `done` gets a revision: whoever has applied it sees everything acknowledged before the
    /// call.
    void barrier(core::Callback<void(core::Result<core::Revision>)> done);
    /// A copy at most kStatusAge old; any thread.
    storage::ReplicaStatus status() const;
    /// Runs on the consensus thread after each change of role, leader or alarms. Before anything else is
    /// called.
    void on_change(core::Callback<void(const storage::ReplicaStatus&)> changed);
    /// What an agent learns at each heartbeat. Any thread.
    wire::HeartbeatAnswer standing();
    /// Runs `work` on the consensus thread, with the replica as it stands then; any thread. Not run when the
    /// node stops before.
    void inspect(core::Callback<void(const storage::ReplicaStatus&)> work);
    /// The newest revision that this server has committed; told by whoever watches the feed. Any thread.
    void set_committed(core::Callback<core::Revision()> committed);
    /// Hands leadership over if it is here, leaves the network, writes what is pending, joins the thread.
    void stop();

    /// The loop, and what serves the cluster's address; the second on the first's thread only.
    net::Loop& loop() { return thread_.loop(); }
    Peers& peers() { return *peers_; }
    /// Any thread; `done` on the consensus thread. Leader only.
    void change_membership(core::cluster::MembershipChange change,
                           core::Callback<void(core::Result<void>)> done);
    /// Any thread: tells the leader of a machine that asked to join and is not registered.
    void note_pending(wire::PendingMachine machine);
    /// Any thread: the leader's list, a serialized wire.PendingMachines.
    void pending(core::Callback<void(core::Result<core::Bytes>)> done);

    std::optional<core::cluster::RaftStanding> raft_standing() override;
    void peer_proposes(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) override;
    void peer_barrier(core::Callback<void(core::Result<core::Bytes>)> done) override;

 private:
    Consensus(ConsensusOptions options, ConsensusEnvironment environment);
    core::Result<void> begin();
    core::Result<void> begin_replica();
    void publish(const storage::ReplicaStatus& status);
    void refresh_status();
    void local_barrier(core::Callback<void(core::Result<core::Revision>)> done);
    bool is_leader() const;
    void follow_leader(core::NodeId leader);
    void hand_over(core::Callback<void()> then);

    static constexpr core::Duration kStatusAge = std::chrono::milliseconds(500);
    ConsensusOptions options_;
    ConsensusEnvironment environment_;
    net::SystemRandom random_;
    LoopThread thread_;
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<net::ThreadExecutor> log_executor_;
    std::unique_ptr<net::ThreadExecutor> snapshot_executor_;
    std::unique_ptr<net::ThreadExecutor> checkpoint_executor_;
    std::unique_ptr<storage::Fsm> state_;
    std::unique_ptr<storage::Replica> replica_;
    core::TimerId status_timer_ = 0;
    core::NodeId last_leader_;  // the last one known
    core::Callback<void(const storage::ReplicaStatus&)> changed_;
    core::Callback<core::Revision()> committed_;
    bool stopped_ = false;
    mutable std::mutex mutex_;  // guards status_ only
    storage::ReplicaStatus status_;
};

}  // namespace smackd::cmd
