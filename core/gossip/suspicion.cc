#include "core/gossip/suspicion.h"

#include <algorithm>
#include <cmath>

#include "core/planted.h"

namespace smackd::core::gossip {

Suspicion::Suspicion(NodeId accuser, Limits limits, Instant now)
    : limits_(limits), start_(now), accusers_{accuser}, earliest_(now) {}

bool Suspicion::confirm(NodeId accuser) {
    if (SMACK_BUG("gossip_no_confirmations")) return false;
    if (accusers_.size() > limits_.confirmations) return false;
    if (std::ranges::contains(accusers_, accuser)) return false;
    accusers_.push_back(accuser);
    return true;
}

void Suspicion::expect(uint32_t confirmations) {
    limits_.confirmations = std::min(limits_.confirmations, confirmations);
}

Duration Suspicion::timeout() const {
    const size_t confirmed = accusers_.size() - 1;
    if (confirmed >= limits_.confirmations) return limits_.min;
    const double share = std::log(static_cast<double>(confirmed) + 1) /
                         std::log(static_cast<double>(limits_.confirmations) + 1);
    const auto shrunk = static_cast<double>((limits_.max - limits_.min).count()) * share;
    return limits_.max - Duration(static_cast<int64_t>(shrunk));
}

}  // namespace smackd::core::gossip
