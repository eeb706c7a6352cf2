// The timer of one suspicion: it starts long and shrinks with each independent accuser (Lifeguard section
// III.B).
#pragma once

#include <algorithm>
#include <vector>

#include "core/clock.h"
#include "core/gossip/parameters.h"
#include "core/ids.h"

namespace smackd::core::gossip {

class Suspicion {
 public:
    struct Limits {
        Duration min{0};
        Duration max{0};
        uint32_t confirmations = 0;  ///< accusers besides the first that bring it down to min; 0: min at once
    };
    Suspicion(NodeId accuser, Limits limits, Instant now);

    /// True when `accuser` is new and still counts: such news is worth passing on.
    bool confirm(NodeId accuser);
    /// Fewer accusers can come than were expected.
    void expect(uint32_t confirmations);
    /// Moves the end by time in which nobody could have been heard.
    void extend(Duration by) {
        start_ = start_ + by;
        earliest_ = earliest_ + by;
    }

    NodeId accuser() const { return accusers_.front(); }
    Instant deadline() const { return start_ + timeout(); }
    Duration timeout() const;
    /// When the suspect is to be asked once more, `spacing` before the next time; with none left, when it is
    /// to be given up. A deadline that was suddenly brought forward leaves time for these answers.
    Instant next_check(Duration spacing) const {
        return std::max(deadline() + Duration(-spacing * checks_left_), earliest_);
    }
    bool checks_left() const { return checks_left_ > 0; }
    void checked(Instant now, Duration spacing) {
        --checks_left_;
        earliest_ = now + spacing;
    }

 private:
    Limits limits_;
    Instant start_;
    std::vector<NodeId> accusers_;
    Instant earliest_;
    uint32_t checks_left_ = kLastChecks;
};

}  // namespace smackd::core::gossip
