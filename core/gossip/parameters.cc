#include "core/gossip/parameters.h"

#include <algorithm>
#include <bit>

namespace smackd::core::gossip {
namespace {

/// The smallest r with base^r >= value.
uint32_t ceil_log(uint64_t base, uint64_t value) {
    uint32_t rounds = 0;
    for (uint64_t reached = 1; reached < value; reached *= base) ++rounds;
    return rounds;
}

}  // namespace

Duration suspicion_min(const Parameters& parameters, size_t nodes) {
    // Each round multiplies those who know by 1 + fanout; twice as many rounds leave room for lost packets.
    const uint32_t rounds = std::max(1U, ceil_log(1 + parameters.gossip_fanout, nodes));
    return parameters.pause_tolerated + 2 * rounds * parameters.gossip_interval;
}

uint32_t retransmit_limit(uint32_t mult, size_t nodes) {
    return mult * ceil_log(10, nodes + 1);
}

Duration push_pull_scaled(Duration interval, size_t nodes) {
    constexpr size_t kUnscaled = 32;
    if (nodes <= kUnscaled) return interval;
    const auto doublings = static_cast<int>(std::bit_width(nodes - 1)) - 5;  // ceil(log2(nodes)) - log2(32)
    return interval * (doublings + 1);
}

}  // namespace smackd::core::gossip
