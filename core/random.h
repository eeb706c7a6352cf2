// Randomness as a parameter. Keys never come from here: those are net/crypto's.
#pragma once

#include <array>
#include <cstdint>

namespace smackd::core {

class Random {
 public:
    virtual ~Random() = default;
    virtual uint64_t next() = 0;
    /// Uniform in [0, limit); limit > 0.
    uint64_t below(uint64_t limit);
    /// Uniform in [low, high].
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    /// True once in `n` on average.
    bool one_in(uint64_t n) { return below(n) == 0; }
};

/// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: one seed, one sequence, on every machine.
class SeededRandom final : public Random {
 public:
    explicit SeededRandom(uint64_t seed);
    uint64_t next() override;

 private:
    std::array<uint64_t, 4> state_{};
};

}  // namespace smackd::core
