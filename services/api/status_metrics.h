// How this server and its cluster stand, as metrics: what `smackd status` says, for Prometheus. Made at each
// scrape, so nothing is counted while nobody asks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/units.h"
#include "services/api/liveness_door.h"
#include "storage/replica.h"

namespace smackd::services {

struct StandingFigures {
    core::NodeId self;
    std::string_view version;
    core::Duration uptime{0};
    uint32_t feature_level = 0;
    const storage::ReplicaStatus& replica;
    std::vector<LiveMember> members;
};

/// Prometheus text 0.0.4. Names and meanings: docs/monitoring.md.
std::string render_standing(const StandingFigures& figures);

}  // namespace smackd::services
