#include "core/redial.h"

#include <algorithm>

namespace smackd::core {

Duration Redial::ended(Duration lasted, double draw) {
    ++turn_;
    if (lasted >= kGoodStream) {
        failures_ = 0;
        pause_ = kRedialFirst;
    } else {
        ++failures_;
    }
    const Duration longest = pause_;
    pause_ = std::min<Duration>(pause_ * 2, kRedialMax);
    // Half of it at least, but for the first: another server within a second.
    const double part = failures_ == 0 ? draw : (1 + draw) / 2;
    return std::chrono::duration_cast<Duration>(longest * part);
}

}  // namespace smackd::core
