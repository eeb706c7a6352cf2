// IPv4 addresses and prefixes as numbers (host byte order). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace smackd::core {

std::optional<uint32_t> parse_ipv4(std::string_view text);
std::string format_ipv4(uint32_t address);

struct Ipv4Prefix {
    uint32_t address = 0;  ///< its first one
    uint32_t length = 32;

    uint32_t mask() const { return length == 0 ? 0 : ~uint32_t{0} << (32 - length); }
    uint32_t last() const { return address | ~mask(); }
    bool contains(uint32_t other) const { return (other & mask()) == address; }
    bool overlaps(const Ipv4Prefix& other) const {
        return contains(other.address) || other.contains(address);
    }
    auto operator<=>(const Ipv4Prefix&) const = default;
};
/// "10.88.0.0/24", or an address alone. Nothing when bits behind the prefix are set.
std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text);

}  // namespace smackd::core
