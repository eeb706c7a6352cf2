// Which packets of one sender have been seen: a sliding window of sequence numbers, as IPsec has it (RFC 4303
// section 3.4.3).
#pragma once

#include <bitset>
#include <cstdint>

namespace smackd::net::gossip {

inline constexpr uint64_t kReplayWindow = 1024;  ///< packets that may overtake each other

class ReplayWindow {
 public:
    /// True once for each number that is not older than the window.
    bool accept(uint64_t number) {
        if (number > highest_ || empty_) {
            const uint64_t ahead = empty_ ? kReplayWindow : number - highest_;
            seen_ = ahead >= kReplayWindow ? decltype(seen_){} : seen_ << ahead;
            highest_ = number;
            empty_ = false;
            seen_.set(0);
            return true;
        }
        const uint64_t behind = highest_ - number;
        if (behind >= kReplayWindow || seen_.test(behind)) return false;
        seen_.set(behind);
        return true;
    }

 private:
    std::bitset<kReplayWindow> seen_;  ///< bit i: highest_ - i
    uint64_t highest_ = 0;
    bool empty_ = true;
};

}  // namespace smackd::net::gossip
