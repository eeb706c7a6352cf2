#include "core/dns/rate_limit.h"

#include <algorithm>
#include <functional>

namespace smackd::core::dns {

bool RateLimit::allow(const IpAddress& source, Instant now) {
    const BytesView network = source.bytes().substr(0, source.is_v4() ? 4 : 8);
    const uint64_t key = std::hash<std::string_view>()(network) | 1;
    Slot& slot = slots_[(key >> 1) % kRateSlots];
    const auto most = static_cast<float>(per_second_);
    if (slot.source != key) {
        slot = {key, most, now};
    } else {
        const float seconds_passed = std::chrono::duration<float>(now - slot.seen).count();
        slot.tokens = std::min(most, slot.tokens + seconds_passed * most);
        slot.seen = now;
    }
    if (slot.tokens < 1) return false;
    slot.tokens -= 1;
    return true;
}

}  // namespace smackd::core::dns
