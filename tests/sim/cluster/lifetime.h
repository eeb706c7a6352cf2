// One seeded life of a whole cluster: its first servers, what happens to it, and how it comes together again.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/cluster/counts.h"

namespace smackd::sim::cluster {

struct LifetimeResult {
    std::string violation;  ///< empty: passed
    std::vector<std::string> lines;
    Counts counts;
    uint64_t members = 0;  ///< servers at the end
    uint64_t messages = 0, events = 0, virtual_ms = 0;
};

LifetimeResult run_lifetime(uint64_t seed, bool trace);

}  // namespace smackd::sim::cluster
