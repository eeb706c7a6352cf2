#include "services/agent/task_link.h"

#include <net/if.h>

#include <cerrno>
#include <utility>

#include "services/agent/small_file.h"

namespace smackd::agent {

core::Result<void> lead_to_task(net::netlink::Links& links, const std::string& device, uint32_t address,
                                uint32_t gateway) {
    const auto index = static_cast<int>(::if_nametoindex(device.c_str()));
    if (index == 0) return core::fail_errno(errno, device);
    // No IPv6 of the link: the rules are about IPv4.
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6", "1");
    const std::string settings = "/proc/sys/net/ipv4/conf/" + device;
    const std::string neighbours = "/proc/sys/net/ipv4/neigh/" + device;
    // route_localnet: for the host at 127.0.0.1 to published ports; tasks are kept out by the raw chain.
    for (const auto& [path, value] : {std::pair{settings + "/rp_filter", "1"},
                                      {settings + "/route_localnet", "1"},
                                      {settings + "/proxy_arp", "1"},
                                      {neighbours + "/proxy_delay", "0"}}) {
        if (const int error = write_small_file(path, value)) return core::fail_errno(error, path);
    }
    TRY(links.set_master(index, 0));
    return links.add_host_route(index, address, gateway);
}

}  // namespace smackd::agent
