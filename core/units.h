// Sizes and durations with their units in the type or the name.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace smackd::core {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

using Duration = std::chrono::nanoseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// "1.5 MiB", for people.
std::string format_bytes(uint64_t bytes);
/// "1.2 s", "350 ms", for people.
std::string format_duration(Duration duration);

}  // namespace smackd::core
