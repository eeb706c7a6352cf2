// One thing that `smackd doctor` looked at: what it found, why, and how that is mended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace smackd::cmd {

enum class Verdict : uint8_t {
    kOk,
    kWarn,  ///< works, and will hurt
    kFail,  ///< does not work
};
std::string_view verdict_name(Verdict verdict);

struct Finding {
    std::string check;  ///< "clock", "keytab", ...
    Verdict verdict = Verdict::kOk;
    std::string message;   ///< what was found, and its cause
    std::string advice{};  ///< what to do; only of a finding that is not ok
    std::string fix{};     ///< the same as a command to type; of each finding that is not ok
};

using Findings = std::vector<Finding>;

Finding fine(std::string check, std::string message);
Finding warned(std::string check, std::string message, std::string advice, std::string fix);
Finding failed(std::string check, std::string message, std::string advice, std::string fix);

core::Json finding_json(const Finding& finding);
/// "fail  keytab: MESSAGE", then the advice and the fix on lines of their own.
std::string finding_text(const Finding& finding);

/// "apt-get install -y NAME" or what this machine has in its place.
std::string install_command(std::string_view debian, std::string_view red_hat);

}  // namespace smackd::cmd
