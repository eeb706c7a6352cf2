#include "core/units.h"

#include <format>

namespace smackd::core {

std::string format_bytes(uint64_t bytes) {
    if (bytes < kKiB) return std::format("{} B", bytes);
    const auto amount = static_cast<double>(bytes);
    if (bytes < kMiB) return std::format("{:.1f} KiB", amount / static_cast<double>(kKiB));
    if (bytes < kGiB) return std::format("{:.1f} MiB", amount / static_cast<double>(kMiB));
    return std::format("{:.1f} GiB", amount / static_cast<double>(kGiB));
}

std::string format_duration(Duration duration) {
    const double in_seconds = std::chrono::duration<double>(duration).count();
    if (in_seconds < 0.001) return std::format("{:.0f} us", in_seconds * 1e6);
    if (in_seconds < 1.0) return std::format("{:.0f} ms", in_seconds * 1e3);
    if (in_seconds < 120.0) return std::format("{:.1f} s", in_seconds);
    if (in_seconds < 7200.0) return std::format("{:.0f} min", in_seconds / 60.0);
    return std::format("{:.1f} h", in_seconds / 3600.0);
}

}  // namespace smackd::core
