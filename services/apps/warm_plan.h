// The leader's planner over a model: told of what has changed since the last look.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "core/apps/leases.h"
#include "core/apps/planner.h"
#include "services/apps/follower.h"
#include "services/apps/model.h"

namespace smackd::services {

/// A node as decisions see it, all but its liveness; nothing when it has not told what it has: nothing can be
/// placed there, nothing is.
std::optional<apps::Node> plan_node(const AppsModel& model, uint64_t id, int64_t now_ms);

/// Borrows from the model, which stays where it is.
class WarmPlan {
 public:
    /// `self` is alive in any case.
    WarmPlan(const AppsModel& model, core::NodeId self);

    /// Rows of the model that are not as they were at the last call.
    void take(const std::vector<ChangedRow>& changed);
    /// The next step, as apps::decide() of plan_view() would have it. `members`: what gossip says.
    apps::Decision decide(std::vector<LiveMember> members, apps::LeaseWatch& leases, core::Instant now,
                          int64_t now_ms, core::Random& random);

 private:
    struct Entry {
        apps::Node node;
        bool heard_of = false;  ///< by gossip, in the last look at it
    };
    void take(const ChangedRow& row);
    void update_nodes(int64_t now_ms);
    void update_node(uint64_t id, int64_t now_ms);
    void update_liveness(std::vector<LiveMember> members, int64_t now_ms);
    void set_liveness(Entry& entry, apps::Liveness liveness, int64_t since_ms);

    const AppsModel& model_;
    const core::NodeId self_;
    apps::Planner planner_{apps::Parameters{}};
    std::unordered_map<uint64_t, Entry> nodes_;
    std::set<uint64_t> stale_;         ///< nodes of which a row has changed
    std::set<uint64_t> timed_;         ///< nodes whose drain changes by itself
    std::vector<LiveMember> members_;  ///< of the last look at them
    bool members_stale_ = true;        ///< nodes have come since
};

}  // namespace smackd::services
