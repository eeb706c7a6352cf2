// Which server an agent dials next, and after what pause. Pure.
//
// Hundreds of agents lose the same server at the same moment. Each begins its round elsewhere, and the pauses
// are drawn, so that they neither meet at one server nor come back in step.
#pragma once

#include <cstddef>

#include "core/ids.h"
#include "core/units.h"

namespace smackd::core {

inline constexpr Duration kRedialFirst = milliseconds(100);  ///< at most, after a stream that was good
inline constexpr Duration kRedialMax = seconds(5);
/// A stream that lasted so long was good.
inline constexpr Duration kGoodStream = seconds(5);

class Redial {
 public:
    explicit Redial(NodeId self) : turn_(self.value) {}

    /// The server to dial, of `servers` (above 0) in an order that all agents share.
    size_t server(size_t servers) const { return static_cast<size_t>(turn_ % servers); }
    /// The stream, or the attempt, ended after `lasted`. The pause before the next one; `draw` is in [0, 1).
    Duration ended(Duration lasted, double draw);
    /// Streams in a row that were not good.
    size_t failures() const { return failures_; }

 private:
    uint64_t turn_;
    size_t failures_ = 0;
    Duration pause_ = kRedialFirst;
};

}  // namespace smackd::core
