// The control thread of a server: follows the registry in the feed, tells the cluster's address and gossip
// who may come in, and, on the leader, decides which servers take part in Raft.
#pragma once

#include <memory>
#include <string>

#include "auth/registry.h"
#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/gossip_keeper.h"
#include "cmd/smackd/node/loop_thread.h"
#include "core/cluster/membership_control.h"
#include "net/worker_pool.h"
#include "services/api/feed_reader.h"
#include "storage/feed/hub.h"
#include "storage/state/reader.h"

namespace smackd::cmd {

/// How long after a failed reading of the registry the next one is tried.
inline constexpr core::Duration kRegistryRetry = core::seconds(1);

class Control {
 public:
    struct Parts {
        Consensus& consensus;
        net::WorkerPool& workers;
        storage::feed::Hub& hub;
        storage::state::ReaderOptions reader;
        core::NodeId self;
        core::Logger logger;
        core::Clock& clock;
        const auth::SealKey& cluster_key;
        std::string cluster_id;
        std::string gossip_address;  ///< HOST:PORT to bind, UDP
        std::string known_members;   ///< file
        core::Callback<void(auth::Refusal)> refused;
        /// Told of each registry that was read; on a worker, one at a time.
        core::Callback<void(const auth::Registry&)> registry_read;
    };
    /// All of it outlives this. Starts the thread.
    explicit Control(Parts parts);
    /// stop() when that was not called.
    ~Control();
    void stop();
    /// Null before the state has gossip keys. Any thread.
    std::shared_ptr<Liveness> liveness() const { return gossip_->liveness(); }
    /// Any thread: role, leader or configuration changed.
    void consensus_changed();

 private:
    void registry_changed();
    net::Task<void> reload();
    core::Result<GossipKeeper::Facts> read_facts();
    void change(core::cluster::MembershipChange change, core::Callback<void(core::Result<void>)> done);

    Parts parts_;
    LoopThread thread_;
    net::Scope scope_;
    std::unique_ptr<GossipKeeper> gossip_;
    std::unique_ptr<services::FeedListener> listener_;
    std::unique_ptr<core::cluster::MembershipControl> membership_;
    bool reloading_ = false;
    bool stale_ = false;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
