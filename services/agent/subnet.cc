#include "services/agent/subnet.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

constexpr uint32_t kSpace = 10U << 24U | 64U << 16U;  // 10.64.0.0/10
constexpr uint32_t kSubnets = 1U << 14U;              // of /24

// Columns of /proc/net/route are separated by tabs; addresses are hexadecimal, as they lie in memory.
std::optional<uint32_t> hex_address(std::string_view text) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return std::byteswap(number);
}

}  // namespace

std::vector<Ipv4Prefix> parse_routes(std::string_view text) {
    std::vector<Ipv4Prefix> routes;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        std::array<std::string_view, 8> columns{};
        for (std::string_view& column : columns) {
            column = line.substr(0, line.find('\t'));
            line.remove_prefix(std::min(line.size(), column.size() + 1));
        }
        const auto address = hex_address(columns[1]);
        const auto mask = hex_address(columns[7]);
        if (!address || !mask || *mask == 0) continue;
        routes.push_back({*address & *mask, static_cast<uint32_t>(std::popcount(*mask))});
    }
    return routes;
}

core::Result<Ipv4Prefix> free_subnet(const std::string& name, const std::vector<Ipv4Prefix>& used) {
    uint32_t begin = 0;
    std::from_chars(name.data(), name.data() + name.size(), begin, 16);
    for (uint32_t i = 0; i < kSubnets; i++) {
        const Ipv4Prefix subnet{kSpace + ((begin + i) % kSubnets << 8U), 24};
        if (std::ranges::none_of(used, [&](const Ipv4Prefix& other) { return other.overlaps(subnet); }))
            return subnet;
    }
    return core::fail(
        core::Errc::kBusy,
        "every subnet of 10.64.0.0/10, where tasks get theirs from, is routed elsewhere: narrow that "
        "route");
}

core::Result<std::string> choose_subnet(const std::string& name) {
    std::string text = read_small_file("/proc/net/route").value_or("");
    // The bridge of an earlier life keeps its subnet.
    std::string others;
    while (!text.empty()) {
        const std::string line = text.substr(0, text.find('\n') + 1);
        text.erase(0, line.empty() ? text.size() : line.size());
        if (!line.starts_with("smk" + name + "\t") && !line.starts_with("v" + name + "x")) others += line;
    }
    TRY_ASSIGN(const Ipv4Prefix subnet, free_subnet(name, parse_routes(others)));
    return format_ipv4(subnet.address) + "/24";
}

}  // namespace smackd::agent
