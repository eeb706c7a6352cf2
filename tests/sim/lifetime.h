// One seeded life of a cluster: start, work under faults, heal, converge, compare.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/sim/faults.h"

namespace smackd::sim {

struct LifetimeOptions {
    uint64_t seed = 1;
    uint64_t operations = 500;
    bool trace = false;
    bool messages = false;  ///< in the trace as well
};

struct LifetimeResult {
    std::string violation;  ///< empty: passed
    std::vector<std::string> lines;
    std::array<uint64_t, kFaults> faults{};
    ClientCounts clients;
    NetworkCounts network;
    uint64_t servers = 0, acknowledged = 0, elections = 0, installs = 0, snapshots = 0, lives = 0, torn = 0,
             lost = 0, events = 0, revisions = 0, virtual_ms = 0, feed_visits = 0, full_writes = 0;
};

LifetimeResult run_lifetime(const LifetimeOptions& options);

}  // namespace smackd::sim
