// The loop's time as a number that another process of this machine reads alike.
#pragma once

#include <chrono>

#include "core/clock.h"

namespace smackd::agent {

inline int64_t microseconds_of(core::Instant at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at.since_start).count();
}
inline core::Instant instant_of(int64_t microseconds) {
    return core::Instant{std::chrono::microseconds(microseconds)};
}

}  // namespace smackd::agent
