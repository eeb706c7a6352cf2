#include "services/agent/subnet.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

constexpr uint32_t kLength = 24;

// Columns of /proc/net/route are separated by tabs; addresses are hexadecimal, as they lie in memory.
std::optional<uint32_t> hex_address(std::string_view text) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return std::byteswap(number);
}

}  // namespace

std::vector<core::Ipv4Prefix> parse_routes(std::string_view text) {
    std::vector<core::Ipv4Prefix> routes;
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

core::Result<core::Ipv4Prefix> free_subnet(const core::Ipv4Prefix& network, const std::string& name,
                                           const std::vector<core::Ipv4Prefix>& used) {
    const uint32_t subnets = network.length > kLength ? 0 : 1U << (kLength - network.length);
    uint32_t begin = 0;
    std::from_chars(name.data(), name.data() + name.size(), begin, 16);
    for (uint32_t i = 0; i < subnets; i++) {
        const core::Ipv4Prefix subnet{network.address + ((begin + i) % subnets << 8U), kLength};
        if (std::ranges::none_of(used, [&](const core::Ipv4Prefix& other) { return other.overlaps(subnet); }))
            return subnet;
    }
    return core::fail(
        core::Errc::kBusy,
        "every /24 of {}/{} is routed elsewhere by this machine or has another node; give tasks "
        "another network (tasks.network)",
        core::format_ipv4(network.address), network.length);
}

std::string routes_without(const std::string& name, std::string text) {
    std::string others;
    while (!text.empty()) {
        const std::string line = text.substr(0, text.find('\n') + 1);
        text.erase(0, line.empty() ? text.size() : line.size());
        const bool ours = line.starts_with("v" + name + "x") ||
                          std::ranges::any_of(std::array{"smk", "smx", "smw"}, [&](const char* device) {
                              return line.starts_with(device + name + "\t");
                          });
        if (!ours) others += line;
    }
    return others;
}

namespace {

// Addresses without a route of their own network, too.
void add_addresses(const std::string& name, std::vector<core::Ipv4Prefix>& used) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
        const std::string_view device = one->ifa_name;
        if (device.size() > 3 && device.starts_with("sm") && device.substr(3) == name) continue;
        const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
        used.push_back({ntohl(address->sin_addr.s_addr), 32});
    }
    ::freeifaddrs(all);
}

std::vector<core::Ipv4Prefix> used_here(const std::string& name, const std::vector<core::Ipv4Prefix>& taken) {
    std::vector<core::Ipv4Prefix> used =
        parse_routes(routes_without(name, read_small_file("/proc/net/route").value_or("")));
    add_addresses(name, used);
    used.insert(used.end(), taken.begin(), taken.end());
    return used;
}

}  // namespace

core::Result<core::Ipv4Prefix> free_subnet_here(const core::Ipv4Prefix& network, const std::string& name,
                                                const std::vector<core::Ipv4Prefix>& taken) {
    return free_subnet(network, name, used_here(name, taken));
}

core::Result<std::string> choose_subnet(const core::Ipv4Prefix& network, const std::string& name,
                                        const std::string& directory,
                                        const std::vector<core::Ipv4Prefix>& taken) {
    const std::vector<core::Ipv4Prefix> used = used_here(name, taken);
    const std::string path = directory + "/subnet";
    const auto last = core::parse_ipv4_prefix(read_small_file(path).value_or(""));
    const bool kept =
        last && last->length == kLength && network.contains(last->address) &&
        std::ranges::none_of(used, [&](const core::Ipv4Prefix& other) { return other.overlaps(*last); });
    if (kept) return core::format_ipv4(last->address) + "/24";
    TRY_ASSIGN(const core::Ipv4Prefix subnet, free_subnet(network, name, used));
    std::string text = core::format_ipv4(subnet.address) + "/24";
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file) (void)::write(file.get(), text.data(), text.size());  // else it is chosen again, mostly alike
    return text;
}

}  // namespace smackd::agent
