#include "services/images/address_rules.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <format>

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kV4At = 12;  // of an IPv4 address in its mapped form

IpBytes mapped(const uint8_t* v4) {
    IpBytes bytes{};
    bytes[10] = bytes[11] = 0xff;
    std::copy_n(v4, 4, bytes.begin() + kV4At);
    return bytes;
}

struct NamedPrefix {
    const char* prefix;
    const char* what;
};
/// Never on behalf of a user (RFC 6890 and what it registers); private networks are fine: sites keep their
/// registries there.
constexpr NamedPrefix kForbidden[] = {
    {"127.0.0.0/8", "loopback"},  {"0.0.0.0/8", "unspecified"},    {"169.254.0.0/16", "link-local"},
    {"224.0.0.0/4", "multicast"}, {"240.0.0.0/4", "reserved"},     {"::1", "loopback"},
    {"::", "unspecified"},        {"fe80::/10", "link-local"},     {"ff00::/8", "multicast"},
    {"fec0::/10", "site-local"},  {"fd00:ec2::254", "link-local"}, {"::/96", "reserved"},
};

std::optional<std::string> forbidden_range(const IpBytes& address) {
    for (const NamedPrefix& range : kForbidden) {
        const auto prefix = IpPrefix::parse(range.prefix);
        if (prefix && prefix->covers(address)) return std::format("it is a {} address", range.what);
    }
    return std::nullopt;
}

/// An IPv4 address that an IPv6 one leads to: 6to4 (2002::/16) and NAT64 (64:ff9b::/96).
std::optional<IpBytes> embedded(const IpBytes& address) {
    if (address[0] == 0x20 && address[1] == 0x02) return mapped(address.data() + 2);
    static const IpPrefix kNat64 = *IpPrefix::parse("64:ff9b::/96");
    if (kNat64.covers(address)) return mapped(address.data() + kV4At);
    return std::nullopt;
}

/// Asked at each check: addresses come and go.
bool is_own(const IpBytes& address) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return true;  // not to be told: then nothing is sure
    bool own = false;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr) continue;
        const int family = one->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        if (ip_bytes(net::Address::from_sockaddr(one->ifa_addr)) == address) own = true;
    }
    ::freeifaddrs(all);
    return own;
}

}  // namespace

IpBytes ip_bytes(const net::Address& address) {
    const sockaddr* raw = address.raw();
    if (raw->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, raw, sizeof v4);
        std::array<uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
        return mapped(bytes.data());
    }
    IpBytes bytes{};
    if (raw->sa_family != AF_INET6) return bytes;  // "::", which nobody may reach
    sockaddr_in6 v6{};
    std::memcpy(&v6, raw, sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return bytes;
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
    IpPrefix prefix;
    const size_t slash = text.find('/');
    const std::string host(text.substr(0, slash));
    std::array<uint8_t, 4> v4{};
    unsigned width = 128;
    if (::inet_pton(AF_INET, host.c_str(), v4.data()) == 1) {
        prefix.bytes = mapped(v4.data());
        width = 32;
    } else if (::inet_pton(AF_INET6, host.c_str(), prefix.bytes.data()) != 1) {
        return fail(Errc::kInvalid, "'{}' is no IP address or prefix", text);
    }
    unsigned bits = width;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() || bits > width) {
            return fail(Errc::kInvalid, "'{}': the prefix length must be 0 to {}", text, width);
        }
    }
    prefix.bits = 128 - width + bits;
    return prefix;
}

bool IpPrefix::covers(const IpBytes& address) const {
    const unsigned whole = bits / 8;
    if (!std::equal(bytes.begin(), bytes.begin() + whole, address.begin())) return false;
    if (bits % 8 == 0) return true;
    const auto mask = static_cast<uint8_t>(0xff00U >> (bits % 8));
    return (bytes[whole] & mask) == (address[whole] & mask);
}

Result<AddressRules> AddressRules::make(const std::vector<std::string>& allowed,
                                        const std::vector<std::string>& nodes) {
    AddressRules rules;
    for (const std::string& text : allowed) {
        TRY_ASSIGN(IpPrefix prefix, IpPrefix::parse(text));
        rules.allowed_.push_back(prefix);
    }
    for (const std::string& text : nodes) {
        TRY_ASSIGN(IpPrefix prefix, IpPrefix::parse(text));
        rules.nodes_.push_back(prefix);
    }
    return rules;
}

std::optional<std::string> AddressRules::refusal(const net::Address& address) const {
    const IpBytes bytes = ip_bytes(address);
    auto covered = [](const std::vector<IpPrefix>& by, const IpBytes& one) {
        return std::ranges::any_of(by, [&](const IpPrefix& prefix) { return prefix.covers(one); });
    };
    if (covered(allowed_, bytes)) return std::nullopt;
    for (const std::optional<IpBytes>& one : {std::optional(bytes), embedded(bytes)}) {
        if (!one) continue;
        if (auto range = forbidden_range(*one)) return range;
        if (covered(nodes_, *one)) return "it is the address of a node of this cluster";
        if (is_own(*one)) return "it is an address of this machine";
    }
    return std::nullopt;
}

}  // namespace smackd::services::images
