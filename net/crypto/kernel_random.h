// core::Random from the kernel's generator, for numbers that an attacker must not guess (DNS ids, ports).
#pragma once

#include "core/bytes.h"
#include "core/random.h"

namespace smackd::net::crypto {

/// Not safe to share between threads: one each.
class KernelRandom final : public core::Random {
 public:
    uint64_t next() override;

 private:
    core::Bytes pool_;  // not yet given out
};

}  // namespace smackd::net::crypto
