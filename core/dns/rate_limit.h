// How many queries one source may ask: token buckets in a table of fixed size.
#pragma once

#include <cstdint>
#include <vector>

#include "core/clock.h"
#include "core/ip_address.h"

namespace smackd::core::dns {

inline constexpr size_t kRateSlots =
    8192;  ///< sources watched at once; a newer one takes an older one's place

class RateLimit {
 public:
    /// `per_second` queries from one source, and as many at once after a pause.
    explicit RateLimit(uint32_t per_second) : per_second_(per_second), slots_(kRateSlots) {}

    /// False when the source has asked too much. IPv6 sources count by their /64.
    bool allow(const IpAddress& source, Instant now);

 private:
    struct Slot {
        uint64_t source = 0;
        float tokens = 0;
        Instant seen;
    };
    uint32_t per_second_;
    std::vector<Slot> slots_;
};

}  // namespace smackd::core::dns
