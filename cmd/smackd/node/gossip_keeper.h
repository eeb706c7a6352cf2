// Keeps a server's gossip in line with the replicated state: the keys, who is let in, which servers to ask.
// On the leader it also makes the keys and changes them when a node has left (core/gossip/keys.h).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "auth/refusal_log.h"
#include "auth/registry.h"
#include "auth/sealing.h"
#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/liveness.h"
#include "core/clock.h"
#include "net/worker_pool.h"

namespace smackd::cmd {

class GossipKeeper {
 public:
    struct Parts {
        net::Loop& loop;  ///< everything here runs on it, but for liveness()
        Consensus& consensus;
        net::WorkerPool& workers;
        core::Clock& clock;
        const auth::SealKey& cluster_key;
        core::NodeId self;
        std::string cluster_id;
        std::string bind;           ///< HOST:PORT, UDP
        std::string known_members;  ///< file
        core::Callback<void(auth::Refusal)> refused;
        core::Logger logger;
    };
    /// What the state says.
    struct Facts {
        std::shared_ptr<const auth::Registry> registry;
        core::Bytes sealed_keys;  ///< empty: there are none yet
    };
    explicit GossipKeeper(Parts parts) : parts_(std::move(parts)) {}
    /// stop() has returned.
    ~GossipKeeper() { *alive_ = false; }
    GossipKeeper(const GossipKeeper&) = delete;
    GossipKeeper& operator=(const GossipKeeper&) = delete;

    void update(Facts facts);
    /// This server leads, with a state of its own term, or does not.
    void lead(bool leads);
    /// Says good-bye to the others; not on the loop.
    void stop();
    /// After stop(), on the loop: nothing comes later.
    void end();
    /// Null before the state has keys. Any thread.
    std::shared_ptr<Liveness> liveness() const;

 private:
    core::Result<wire::GossipKeys> open_keys() const;
    void start(const wire::GossipKeys& keys);
    void tell(const wire::GossipKeys& keys);
    Liveness::Hooks hooks();
    void decide();
    void propose(const wire::GossipKeys& keys);
    void again_in(core::Duration delay);

    Parts parts_;
    std::optional<Facts> facts_;
    std::optional<wire::GossipKeys> keys_;
    bool leads_ = false;
    uint64_t waits_for_ = 0;  ///< a version that was proposed
    core::TimerId timer_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // also callbacks under way have it
    mutable std::mutex mutex_;                                    // guards liveness_
    std::shared_ptr<Liveness> liveness_;                          // also the consensus thread's
};

}  // namespace smackd::cmd
