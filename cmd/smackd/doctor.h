// `smackd doctor`: what can be wrong with a node or a client, looked at one by one, each with what to do
// about it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

enum class Verdict : uint8_t { kOk, kWarn, kFail };
std::string_view verdict_name(Verdict verdict);

struct Finding {
    std::string check;  ///< "clock", "keytab", ...
    Verdict verdict = Verdict::kOk;
    std::string message;  ///< what was found
    std::string advice;   ///< what to do; empty when nothing is to be done
};

inline constexpr uint64_t kFreeBytesWarn = 1024ULL * 1024 * 1024;
inline constexpr uint64_t kFreeBytesFail = 64ULL * 1024 * 1024;
inline constexpr int64_t kClockSkewWarnMs = 5'000;
inline constexpr int64_t kClockSkewFailMs = 120'000;  ///< Kerberos refuses at 300 s

/// Runs all checks that apply: those of the data directory when there is a node here, those of the server's
/// API when one answers. Takes at most about half a minute when things hang.
std::vector<Finding> examine(const Arguments& arguments);

/// Pure parts, for tests.
Finding judge_free_space(std::string_view path, uint64_t free_bytes);
Finding judge_clock(int64_t our_ms, int64_t server_ms);
Finding judge_mode(std::string_view path, unsigned mode, unsigned allowed);

}  // namespace smackd::cmd
