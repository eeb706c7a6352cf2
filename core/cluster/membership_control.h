// The leader's loop over decide_membership: one change at a time, each waited for before the next is decided.
//
// Single-threaded, on the loop of its Timers. The same class runs in the simulator.
#pragma once

#include <map>
#include <memory>

#include "core/clock.h"
#include "core/cluster/membership.h"
#include "core/logger.h"

namespace smackd::core::cluster {

/// After each change, failed or not, until the next one is decided: what is looked at is a copy.
inline constexpr Duration kMembershipPause = seconds(1);
/// A new leader first applies an entry of its own term; it is asked again after this.
inline constexpr Duration kPlanWait = milliseconds(200);

class MembershipControl {
 public:
    struct Standing {
        bool leads = false;
        bool may_plan = false;  ///< leads, and its state is its own term's
        std::vector<RaftServer> servers;
    };
    struct World {
        NodeId self;
        Timers& timers;
        Callback<Standing()> standing;
        /// Carries a change out; `done` runs on this loop, also after the control is gone.
        Callback<void(MembershipChange, Callback<void(Result<void>)> done)> change;
        /// Whether this server leads with a state of its own term; told often. May be empty.
        Callback<void(bool)> plans;
        Logger logger;
    };
    explicit MembershipControl(World world);
    ~MembershipControl();
    MembershipControl(const MembershipControl&) = delete;
    MembershipControl& operator=(const MembershipControl&) = delete;

    void set_registry(std::shared_ptr<const Registry> registry);
    /// Role, leader or configuration changed.
    void consensus_changed() { decide(); }

 private:
    void decide();
    void begin(const MembershipChange& wanted);
    void ended(const MembershipChange& change, const Result<void>& result);

    World world_;
    std::shared_ptr<const Registry> registry_;  // shared with whoever checks connections
    bool changing_ = false;
    std::map<NodeId, uint32_t> failures_;  // of additions and promotions
    TimerId timer_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace smackd::core::cluster
