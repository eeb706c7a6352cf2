// How well this node itself does: Lifeguard's local health score (arXiv 1707.00788, section III.A).
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/gossip/parameters.h"

namespace smackd::core::gossip {

/// 0 is well, kHealthScoreMax is poor. A node that misses answers blames itself first: it probes more slowly
/// and waits longer before it blames others.
class Awareness {
 public:
    uint32_t score() const { return score_; }
    void apply(int delta) {
        const int next = static_cast<int>(score_) + delta;
        score_ = static_cast<uint32_t>(std::clamp(next, 0, static_cast<int>(kHealthScoreMax)));
    }
    Duration scaled(Duration duration) const { return duration * (1 + score_); }

 private:
    uint32_t score_ = 0;
};

}  // namespace smackd::core::gossip
