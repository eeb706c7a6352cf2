// What the API needs of this machine's own measurements: how busy it has been.
#pragma once

#include <cstdint>
#include <vector>

namespace smackd::services {

/// Of the whole machine, not of its tasks alone.
struct UsageSample {
    int64_t time_ms = 0;   ///< Unix time
    double cpu_share = 0;  ///< of all processors since the sample before: 0 to 1
    uint64_t memory_used_bytes = 0;
    uint64_t memory_total_bytes = 0;
};

class UsageDoor {
 public:
    virtual ~UsageDoor() = default;
    /// Samples after `since_ms`, the oldest first; those of the last minutes are kept. Any thread.
    virtual std::vector<UsageSample> usage(int64_t since_ms) const = 0;
};

}  // namespace smackd::services
