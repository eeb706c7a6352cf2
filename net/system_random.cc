#include "net/system_random.h"

#include <sys/random.h>

#include "core/assert.h"

namespace smackd::net {

namespace {

uint64_t seed_from_kernel() {
    uint64_t seed = 0;
    SMACK_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);  // never short below 256 bytes
    return seed;
}

}  // namespace

SystemRandom::SystemRandom() : random_(seed_from_kernel()) {}

}  // namespace smackd::net
