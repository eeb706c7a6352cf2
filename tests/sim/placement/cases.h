// Random cases of placement, each by its seed.
#pragma once

#include <cstdint>
#include <string>

namespace smackd::sim::placement {

struct Counts {
    uint64_t cases = 0;
    uint64_t placed = 0;
    uint64_t refused = 0;  ///< "no place"
    uint64_t steps = 0;    ///< of warm plans beside cold ones
};

/// A few nodes, tasks that are there and an app: its tasks are placed one after the other, and an oracle
/// judges each place, the explanation at the end, and that the order of nodes and tasks makes no difference.
/// What is wrong; empty: nothing.
std::string check_placement(uint64_t seed, Counts& counts);

/// A life of a small cluster in which a planner that is told of changes decides beside decide(), which looks
/// at everything: the actions must be the same. What is wrong; empty: nothing.
std::string check_warm(uint64_t seed, Counts& counts);

}  // namespace smackd::sim::placement
