#include "core/random.h"

#include <bit>

#include "core/assert.h"

namespace smackd::core {

uint64_t Random::below(uint64_t limit) {
    SMACK_ASSERT(limit > 0);
    // Rejection keeps the result uniform: values under 2^64 mod limit would be drawn once too often.
    const uint64_t excess = (0 - limit) % limit;
    uint64_t value = next();
    while (value < excess) value = next();
    return value % limit;
}

SeededRandom::SeededRandom(uint64_t seed) {
    for (uint64_t& word : state_) {
        seed += 0x9E3779B97F4A7C15ULL;
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
        word = mixed ^ (mixed >> 31U);
    }
}

uint64_t SeededRandom::next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

}  // namespace smackd::core
