// A subnet for the node's bridge that nothing else on the machine uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/ipv4.h"
#include "core/result.h"

namespace smackd::agent {

/// Prefixes of /proc/net/route's text, without the default route.
std::vector<core::Ipv4Prefix> parse_routes(std::string_view text);
/// The same text without what the agent `name` made: the bridge of an earlier life, tasks, other nodes.
std::string routes_without(const std::string& name, std::string text);
/// A /24 of `network` that overlaps none of `used`; the same one each time for the same name and machine.
core::Result<core::Ipv4Prefix> free_subnet(const core::Ipv4Prefix& network, const std::string& name,
                                           const std::vector<core::Ipv4Prefix>& used);
/// The same by this machine's routes and addresses, and without those of `taken`.
core::Result<core::Ipv4Prefix> free_subnet_here(const core::Ipv4Prefix& network, const std::string& name,
                                                const std::vector<core::Ipv4Prefix>& taken = {});
/// "10.88.3.0/24": what the agent's folder has (file "subnet") as long as nothing else of the machine and of
/// `taken` uses it, else a free one, which is written there.
core::Result<std::string> choose_subnet(const core::Ipv4Prefix& network, const std::string& name,
                                        const std::string& directory,
                                        const std::vector<core::Ipv4Prefix>& taken = {});

}  // namespace smackd::agent
