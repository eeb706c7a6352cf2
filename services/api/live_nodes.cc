#include "services/api/live_nodes.h"

namespace smackd::services {

std::vector<LiveMember> live_members(const Call& call) {
    const LivenessDoor* door = call.api.environment.liveness;
    return door == nullptr ? std::vector<LiveMember>{} : door->members();
}

apps::Outage outage_now(const Call& call, const AppsModel& model) {
    const int64_t now_ms = call.api.environment.clock.wall().unix_ms;
    return apps::outage_of(plan_nodes(model, live_members(call), call.api.options.node.id, now_ms),
                           model.hold_percent);
}

}  // namespace smackd::services
