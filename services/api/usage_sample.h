// How busy a machine has been.
#pragma once

#include <cstdint>

namespace smackd::services {

/// Of the whole machine, not of its tasks alone.
struct UsageSample {
    int64_t time_ms = 0;   ///< Unix time
    double cpu_share = 0;  ///< of all processors since the sample before: 0 to 1
    uint64_t memory_used_bytes = 0;
    uint64_t memory_total_bytes = 0;
};

}  // namespace smackd::services
