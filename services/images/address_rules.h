// AddressRules: which IP addresses may be spoken to on behalf of a user who named a host.
//
// Names are resolved first and the address that was checked is the one that is connected to, so that a name
// cannot point elsewhere between check and use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "net/address.h"

namespace smackd::services::images {

/// IPv6 form of either family: IPv4 addresses are mapped (::ffff:0:0/96).
using IpBytes = std::array<uint8_t, 16>;

/// "10.0.0.0/8", "fd00::/8", "10.1.2.3".
struct IpPrefix {
    IpBytes bytes{};
    unsigned bits = 128;
    /// kInvalid names the rule.
    static core::Result<IpPrefix> parse(std::string_view text);
    bool covers(const IpBytes& address) const;
};

class AddressRules {
 public:
    AddressRules() = default;
    /// `allowed` goes over everything else; `nodes` are never reached. kInvalid names the entry.
    static core::Result<AddressRules> make(const std::vector<std::string>& allowed,
                                           const std::vector<std::string>& nodes);

    /// Why the address may not be reached: loopback, link-local (metadata services), unspecified, multicast,
    /// an address of a node or of this machine, also when written inside IPv6 (mapped, 6to4, NAT64). nullopt:
    /// it may.
    std::optional<std::string> refusal(const net::Address& address) const;

 private:
    std::vector<IpPrefix> allowed_;
    std::vector<IpPrefix> nodes_;
};

/// Of a socket address.
IpBytes ip_bytes(const net::Address& address);

}  // namespace smackd::services::images
