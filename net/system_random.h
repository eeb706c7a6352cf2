// Randomness for timeouts and jitter, seeded by the kernel. Keys come from net/crypto/random.h.
#pragma once

#include "core/random.h"

namespace smackd::net {

/// Not safe to share between threads: one each.
class SystemRandom final : public core::Random {
 public:
    SystemRandom();
    uint64_t next() override { return random_.next(); }

 private:
    core::SeededRandom random_;
};

}  // namespace smackd::net
