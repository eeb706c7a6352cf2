#include "cmd/smackd/doctor/finding.h"

#include <unistd.h>

#include <format>

namespace smackd::cmd {

std::string_view verdict_name(Verdict verdict) {
    if (verdict == Verdict::kOk) return "ok";
    return verdict == Verdict::kWarn ? "warn" : "fail";
}

Finding fine(std::string check, std::string message) {
    return {std::move(check), Verdict::kOk, std::move(message)};
}

Finding warned(std::string check, std::string message, std::string advice, std::string fix) {
    return {std::move(check), Verdict::kWarn, std::move(message), std::move(advice), std::move(fix)};
}

Finding failed(std::string check, std::string message, std::string advice, std::string fix) {
    return {std::move(check), Verdict::kFail, std::move(message), std::move(advice), std::move(fix)};
}

core::Json finding_json(const Finding& finding) {
    core::Json json;
    json.set("check", finding.check).set("result", verdict_name(finding.verdict));
    json.set("message", finding.message).set("advice", finding.advice).set("fix", finding.fix);
    return json;
}

std::string finding_text(const Finding& finding) {
    std::string text =
        std::format("{:<5} {}: {}", verdict_name(finding.verdict), finding.check, finding.message);
    if (!finding.advice.empty()) text += "\n      -> " + finding.advice;
    if (!finding.fix.empty()) text += "\n      $  " + finding.fix;
    return text;
}

std::string install_command(std::string_view debian, std::string_view red_hat) {
    const bool dnf = ::access("/usr/bin/dnf", X_OK) == 0 && ::access("/usr/bin/apt-get", X_OK) != 0;
    return dnf ? std::format("dnf install -y {}", red_hat) : std::format("apt-get install -y {}", debian);
}

}  // namespace smackd::cmd
