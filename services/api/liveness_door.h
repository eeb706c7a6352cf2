// What the API needs of gossip: which nodes this server believes to be alive.
#pragma once

#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/units.h"

namespace smackd::services {

struct LiveMember {
    core::NodeId id;
    std::string_view state;   ///< "alive", "suspect", "dead" (unreachable), "left" (stopped in good order)
    core::Duration since{0};  ///< ago
};

class LivenessDoor {
 public:
    virtual ~LivenessDoor() = default;
    /// Empty until gossip runs.
    virtual std::vector<LiveMember> members() const = 0;
};

}  // namespace smackd::services
