// Many nodes lost at once are a switch or a cable rather than so many broken machines: replacing their tasks
// would load the rest with what is coming back in a moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/apps/node.h"

namespace smackd::apps {

inline constexpr uint32_t kHoldPercent = 34;  ///< of the nodes, unless the cluster says otherwise
inline constexpr uint32_t kHoldNodesMin = 2;  ///< one node alone never holds anything up
inline constexpr int64_t kLostTogetherMs = 600'000;

struct Outage {
    uint32_t unreachable = 0;           ///< within kLostTogetherMs of the one that was lost last
    uint32_t nodes = 0;                 ///< all that run tasks
    bool holds = false;                 ///< nothing of unreachable nodes is replaced
    bool certain = false;               ///< it holds for nodes that are unreachable, not for suspects
    std::vector<std::string> machines;  ///< of the unreachable, sorted; a few

    /// For an alarm: what is held, until when, and what to do.
    std::string text() const;
};
inline constexpr size_t kOutageMachinesMax = 5;

/// Nodes that go together are not found dead together: while one is unreachable, suspects count with it until
/// they are the one or the other. `hold_percent`: more than this share of `nodes` lost together holds; 100:
/// nothing is ever held. It lasts until enough of them are back or removed. (Kubernetes stops evictions in a
/// zone at 55 % by default, `unhealthy-zone-threshold`.)
Outage outage_of(const std::vector<Node>& nodes, uint32_t hold_percent);

}  // namespace smackd::apps
