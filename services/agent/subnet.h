// A subnet for the node's bridge that nothing else on the machine uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "services/agent/ipv4.h"

namespace smackd::agent {

/// Prefixes of /proc/net/route's text, without the default route.
std::vector<Ipv4Prefix> parse_routes(std::string_view text);
/// A /24 of 10.64.0.0/10 that overlaps none of `used`; the same one each time for the same name and machine.
core::Result<Ipv4Prefix> free_subnet(const std::string& name, const std::vector<Ipv4Prefix>& used);
/// The same by this machine's routes; "10.88.3.0/24". The bridge's own route does not count.
core::Result<std::string> choose_subnet(const std::string& name);

}  // namespace smackd::agent
