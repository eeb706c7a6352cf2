#include "net/system_clock.h"

#include <ctime>

namespace smackd::net {

core::Instant SystemClock::now() const {
    timespec at{};
    clock_gettime(CLOCK_MONOTONIC, &at);
    return core::Instant{std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec)};
}

core::WallTime SystemClock::wall() const {
    timespec at{};
    clock_gettime(CLOCK_REALTIME, &at);
    return core::WallTime{at.tv_sec * 1000 + at.tv_nsec / 1'000'000};
}

int64_t boot_time_ms() {
    timespec at{};
    clock_gettime(CLOCK_BOOTTIME, &at);
    return int64_t{at.tv_sec} * 1000 + at.tv_nsec / 1'000'000;
}

}  // namespace smackd::net
