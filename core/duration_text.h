// Durations as people write them in files and on the command line.
#pragma once

#include <string_view>

#include "core/result.h"
#include "core/units.h"

namespace smackd::core {

inline constexpr seconds kDurationTextMax = std::chrono::hours(24 * 366);

/// A whole number with its unit, as "90s", "30m", "24h" or "7d", from 1s to 366d. kInvalid otherwise.
Result<seconds> parse_duration(std::string_view text);

}  // namespace smackd::core
