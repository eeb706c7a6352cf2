#include "core/sid.h"

#include <charconv>
#include <format>
#include <vector>

namespace smackd::core {
namespace {

constexpr std::string_view kPrefix = "S-1-";
constexpr uint64_t kAuthorityMax = (uint64_t{1} << 48U) - 1;

/// The number up to the next '-', which is taken too.
bool take_number(std::string_view& text, uint64_t maximum, int base, uint64_t& value) {
    const std::string_view digits = text.substr(0, text.find('-'));
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
    if (error != std::errc() || stop != end || value > maximum) return false;
    text.remove_prefix(std::min(digits.size() + 1, text.size()));
    return true;
}

}  // namespace

std::string sid_to_text(uint64_t authority, std::span<const uint32_t> sub_authorities) {
    std::string text =
        authority > UINT32_MAX ? std::format("S-1-0x{:012X}", authority) : std::format("S-1-{}", authority);
    for (const uint32_t sub_authority : sub_authorities) text += std::format("-{}", sub_authority);
    return text;
}

Result<void> check_sid(std::string_view field, std::string_view text) {
    auto wrong = [&] {
        return fail(Errc::kInvalid,
                    "{} '{}': must be a SID such as S-1-5-21-1004336348-1177238915-682003330-512", field,
                    text.substr(0, 64));
    };
    if (!text.starts_with(kPrefix) || text.size() > 256 || text.ends_with('-')) return wrong();
    std::string_view rest = text.substr(kPrefix.size());
    const bool hexadecimal = rest.starts_with("0x");
    if (hexadecimal) rest.remove_prefix(2);
    uint64_t authority = 0;
    if (!take_number(rest, kAuthorityMax, hexadecimal ? 16 : 10, authority)) return wrong();
    std::vector<uint32_t> sub_authorities;
    while (!rest.empty() && sub_authorities.size() < kSubAuthoritiesMax) {
        uint64_t value = 0;
        if (!take_number(rest, UINT32_MAX, 10, value)) return wrong();
        sub_authorities.push_back(static_cast<uint32_t>(value));
    }
    // Leading zeros, lower case and what is left over: another text for the same SID, or none.
    if (sid_to_text(authority, sub_authorities) != text || sub_authorities.empty()) return wrong();
    return {};
}

}  // namespace smackd::core
