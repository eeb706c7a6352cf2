// Figures of a large simulated cluster: convergence, detection, false verdicts, traffic.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/gossip/cluster.h"

namespace smackd::sim::gossip {

struct MeasureOptions {
    uint64_t seed = 1;
    uint64_t nodes = 500;
    double hours = 1;
    NetworkOptions network;
    Duration kill_every = std::chrono::seconds(60);   ///< 0: none are killed
    double pausing = 0;                               ///< share of nodes that pause now and then
    Duration pause_every = std::chrono::seconds(20);  ///< on average, each of them
    std::vector<uint64_t> pauses_ms;                  ///< their lengths, drawn at random from this list
};

/// Runs it and prints `name value` lines. 0 when nobody who was up was declared unreachable, else 1.
int measure(const MeasureOptions& options);

}  // namespace smackd::sim::gossip
