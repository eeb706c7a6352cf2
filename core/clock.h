// Time as a parameter: clocks and timers. Real ones live in net, simulated ones in tests/sim.
#pragma once

#include <cstdint>

#include "core/callback.h"
#include "core/units.h"

namespace smackd::core {

/// Monotonic time since an arbitrary start of this process.
struct Instant {
    Duration since_start{0};
    auto operator<=>(const Instant&) const = default;
    Instant operator+(Duration d) const { return Instant{since_start + d}; }
    Duration operator-(Instant other) const { return since_start - other.since_start; }
};

/// Milliseconds since the Unix epoch, UTC; may step in both directions.
struct WallTime {
    int64_t unix_ms = 0;
    auto operator<=>(const WallTime&) const = default;
};

class Clock {
 public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
    virtual WallTime wall() const = 0;
};

/// Identifies a running timer; 0 is none.
using TimerId = uint64_t;

/// One-shot timers of one loop. Callbacks run on that loop's thread, never inside start() or cancel().
class Timers {
 public:
    virtual ~Timers() = default;
    /// Runs `callback` once, `after` from now (0 is the next turn of the loop).
    virtual TimerId start(Duration after, Callback<void()> callback) = 0;
    /// After this the callback does not run. An id that has fired or is 0 is ignored.
    virtual void cancel(TimerId id) = 0;
};

}  // namespace smackd::core
