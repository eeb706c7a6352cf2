#include "core/apps/address.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace smackd::apps {
namespace {

std::optional<uint32_t> number(std::string_view text, int base, size_t digits_max) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || text.size() > digits_max)
        return std::nullopt;
    return value;
}

bool is_ipv4(std::string_view text) {
    for (int octet = 0; octet < 4; ++octet) {
        const size_t end = octet == 3 ? text.size() : text.find('.');
        if (end == std::string_view::npos) return false;
        const auto value = number(text.substr(0, end), 10, 3);
        if (!value || *value > 255) return false;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

/// The groups of four hexadecimal digits between colons, or none when one is wrong.
std::optional<int> groups_of(std::string_view text) {
    if (text.empty()) return 0;
    for (int groups = 1;; ++groups) {
        const size_t end = text.find(':');
        if (!number(text.substr(0, end), 16, 4)) return std::nullopt;
        if (end == std::string_view::npos) return groups;
        text.remove_prefix(end + 1);
    }
}

bool is_ipv6(std::string_view text) {
    const size_t gap = text.find("::");
    if (gap == std::string_view::npos) return groups_of(text) == 8;
    const auto before = groups_of(text.substr(0, gap));
    const auto after = groups_of(text.substr(gap + 2));
    return before && after && *before + *after < 8;
}

}  // namespace

bool is_address(std::string_view text) {
    return is_ipv4(text) || is_ipv6(text);
}

bool is_cidr(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return is_address(text);
    const std::string_view address = text.substr(0, slash);
    const auto length = number(text.substr(slash + 1), 10, 3);
    return is_address(address) && length && *length <= (is_ipv4(address) ? 32U : 128U);
}

}  // namespace smackd::apps
