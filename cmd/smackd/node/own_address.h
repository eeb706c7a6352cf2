// Which of this machine's addresses others reach its tasks at.
#pragma once

#include <string>
#include <vector>

namespace smackd::cmd {

/// Of `wanted` (what the node's own name means, best first) the first one that is in `own`; else the first of
/// `own` that is no loopback; empty when there is none. Texts of IPv4 addresses.
std::string choose_address(const std::vector<std::string>& wanted, const std::vector<std::string>& own);

/// choose_address over this machine: `advertised` is HOST:PORT or empty. Bridges of smackd do not count.
/// Blocks on name servers for seconds: for a worker.
std::string find_own_address(const std::string& advertised);

/// IPv4 addresses of the interfaces that are up; bridges of smackd do not count.
std::vector<std::string> interface_addresses();
/// What a name means, IPv4; empty when nothing. Blocks on name servers.
std::vector<std::string> addresses_of_name(const std::string& host);

}  // namespace smackd::cmd
