// The real clock: CLOCK_MONOTONIC and CLOCK_REALTIME.
#pragma once

#include "core/clock.h"

namespace smackd::net {

class SystemClock final : public core::Clock {
 public:
    core::Instant now() const override;
    core::WallTime wall() const override;
};

}  // namespace smackd::net
