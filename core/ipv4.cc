#include "core/ipv4.h"

#include <charconv>

namespace smackd::core {

std::optional<uint32_t> parse_ipv4(std::string_view text) {
    uint32_t address = 0;
    for (int part = 0; part < 4; part++) {
        const size_t end = part < 3 ? text.find('.') : text.size();
        if (end == std::string_view::npos || end == 0 || end > 3) return std::nullopt;
        uint32_t number = 0;
        const auto [at, error] = std::from_chars(text.data(), text.data() + end, number);
        if (error != std::errc() || at != text.data() + end || number > 255) return std::nullopt;
        if (end > 1 && text[0] == '0') return std::nullopt;  // octal to some, decimal to others
        address = (address << 8U) | number;
        text.remove_prefix(part < 3 ? end + 1 : end);
    }
    return text.empty() ? std::optional(address) : std::nullopt;
}

std::string format_ipv4(uint32_t address) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) {
        if (!text.empty()) text += '.';
        text += std::to_string((address >> static_cast<unsigned>(shift)) & 0xffU);
    }
    return text;
}

std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text) {
    const size_t slash = text.find('/');
    const auto address = parse_ipv4(text.substr(0, slash));
    if (!address) return std::nullopt;
    Ipv4Prefix prefix{*address, 32};
    if (slash != std::string_view::npos) {
        const std::string_view length = text.substr(slash + 1);
        const auto [at, error] = std::from_chars(length.data(), length.data() + length.size(), prefix.length);
        if (error != std::errc() || at != length.data() + length.size() || prefix.length > 32)
            return std::nullopt;
    }
    if ((prefix.address & ~prefix.mask()) != 0) return std::nullopt;
    return prefix;
}

}  // namespace smackd::core
