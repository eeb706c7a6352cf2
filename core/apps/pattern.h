// Regular expressions of constraints (LIKE, UNLIKE): the common part of Java's, matched in linear time.
//
// Patterns and values come from outside, so nothing here backtracks or recurses by the value's length: a
// pattern is compiled to a program of at most kPatternProgramMax instructions that is run over all its
// threads at once (R. Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009).
//
// Known: literals, '.', classes [a-z], [^...], escapes \d \w \s \D \W \S and \ before punctuation, groups
// (...) and
// (?:...), alternatives, * + ? {n} {n,} {n,m} (also lazy, which is the same for a full match), ^ and $.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::apps {

inline constexpr size_t kPatternBytesMax = 1024;
inline constexpr size_t kPatternProgramMax = 4096;
inline constexpr size_t kPatternDepthMax = 50;
inline constexpr uint32_t kPatternRepeatMax = 1000;

class Pattern {
 public:
    /// kInvalid says where and why.
    static core::Result<Pattern> compile(std::string_view text);
    /// Whether the whole of `value` matches, byte by byte.
    bool matches(std::string_view value) const;

    struct Instruction {
        enum class Kind : uint8_t { kByte, kSplit, kJump, kStart, kEnd, kMatch };
        Kind kind = Kind::kMatch;
        uint32_t set = 0;     ///< kByte: index of the set of bytes that go on
        uint32_t first = 0;   ///< kSplit, kJump: where to
        uint32_t second = 0;  ///< kSplit
    };
    using ByteSet = std::vector<bool>;  ///< 256

 private:
    std::vector<Instruction> program_;
    std::vector<ByteSet> sets_;
};

}  // namespace smackd::apps
