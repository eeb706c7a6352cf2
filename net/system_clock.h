// The real clock: CLOCK_MONOTONIC and CLOCK_REALTIME, and what the machine slept.
#pragma once

#include "core/clock.h"

namespace smackd::net {

class SystemClock final : public core::Clock {
 public:
    core::Instant now() const override;
    core::WallTime wall() const override;
};

/// Milliseconds since the machine's start, with what it slept (CLOCK_BOOTTIME); what leases are told in.
int64_t boot_time_ms();

}  // namespace smackd::net
