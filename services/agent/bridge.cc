#include "services/agent/bridge.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "core/bytes.h"
#include "net/crypto/hash.h"
#include "net/netlink/links.h"
#include "services/agent/small_file.h"
#include "services/agent/sweep.h"
#include "services/agent/task_network.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;
using net::netlink::Batch;
using net::netlink::Link;
using net::netlink::Links;

constexpr uint32_t kSubnetLengthMin = 16;
constexpr uint32_t kSubnetLengthMax = 29;

Result<void> commit(const Batch& batch, const char* what) {
    TRY_ASSIGN(const int error_number, batch.commit());
    if (error_number != 0) return fail_errno(error_number, what);
    return {};
}

// Of the device that leads out: what tasks send must fit through it.
uint32_t outer_mtu() {
    const std::string routes = read_small_file("/proc/net/route").value_or("");
    for (size_t at = 0; at < routes.size();) {
        const std::string line = routes.substr(at, routes.find('\n', at) - at);
        at += line.size() + 1;
        const size_t tab = line.find('\t');
        if (tab == std::string::npos || line.substr(tab + 1, 8) != "00000000") continue;
        const auto mtu = read_small_file("/sys/class/net/" + line.substr(0, tab) + "/mtu");
        if (mtu) return static_cast<uint32_t>(std::strtoul(mtu->c_str(), nullptr, 10));
    }
    return 0;
}

}  // namespace

Result<Bridge> Bridge::set_up(const wire::LauncherSetup& setup, const std::vector<wire::ShimPlan>& living) {
    const auto subnet = parse_ipv4_prefix(setup.subnet());
    if (!subnet || subnet->length < kSubnetLengthMin || subnet->length > kSubnetLengthMax) {
        return fail(Errc::kInvalid, "subnet: '{}' is no IPv4 prefix of length {} to {}", setup.subnet(),
                    kSubnetLengthMin, kSubnetLengthMax);
    }
    Bridge bridge;
    bridge.rules_.table = bridge_table(setup.name());
    bridge.rules_.device = "smk" + setup.name();
    bridge.rules_.subnet = *subnet;
    bridge.rules_.gateway = subnet->address + 1;
    bridge.rules_.blocked.assign(setup.blocked().begin(), setup.blocked().end());
    bridge.rules_.node_ports.assign(setup.node_ports_tcp().begin(), setup.node_ports_tcp().end());
    std::vector<wire::ShimPlan> publishing = living;
    std::erase_if(publishing, has_ended);
    TRY_ASSIGN(const Batch table, table_batch(bridge.rules_, publishing));
    // The rules before the device: no packet passes it unfiltered.
    TRY(commit(table, "nft table"));
    // One that has ended meanwhile took its ports out of the old table; those that end from now on do so in
    // the new one.
    for (const wire::ShimPlan& plan : publishing) {
        if (has_ended(plan)) unpublish(plan);
    }
    TRY(bridge.make_device());
    TRY(bridge.sweep_devices(setup.name(), living));
    return bridge;
}

Result<void> Bridge::make_device() {
    TRY_ASSIGN(Links links, Links::open());
    TRY(links.make_bridge(rules_.device, outer_mtu(), hardware_address(rules_.gateway)));
    TRY_ASSIGN(const Link link, links.find(rules_.device));
    const std::string settings = "/proc/sys/net/ipv4/conf/" + rules_.device;
    // No IPv6 on the bridge: its link-local addresses would be a way around the rules for 127.0.0.1 and the
    // subnet.
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + rules_.device + "/disable_ipv6", "1");
    // For the host at 127.0.0.1 to published ports; tasks are kept out by the raw chain.
    if (const int error = write_small_file(settings + "/route_localnet", "1"))
        return fail_errno(error, settings + "/route_localnet");
    if (const int error = write_small_file("/proc/sys/net/ipv4/ip_forward", "1"))
        return fail_errno(error, "net.ipv4.ip_forward");
    TRY(links.set_up(link.index));
    return links.add_address(link.index, rules_.gateway, rules_.subnet.length);
}

Result<void> Bridge::sweep_devices(const std::string& name, const std::vector<wire::ShimPlan>& living) {
    TRY_ASSIGN(Links links, Links::open());
    TRY_ASSIGN(const std::vector<Link> all, links.list());
    for (const Link& link : all) {
        if (!link.name.starts_with("v" + name + "x")) continue;
        const bool used = std::ranges::any_of(living, [&](const wire::ShimPlan& plan) {
            const auto address = parse_ipv4(plan.spec().network().address());
            return address && task_device(name, *address) == link.name;
        });
        if (used) continue;
        TRY(links.remove(link.name));
        swept_.push_back("device " + link.name);
    }
    return {};
}

Result<void> Bridge::set_blocked(const wire::LauncherBlocked& blocked) {
    BridgeRules changed = rules_;
    changed.blocked.assign(blocked.prefixes().begin(), blocked.prefixes().end());
    changed.node_ports.assign(blocked.node_ports_tcp().begin(), blocked.node_ports_tcp().end());
    TRY_ASSIGN(const Batch batch, blocked_batch(changed));
    TRY(commit(batch, "nft sets"));
    rules_ = std::move(changed);
    return {};
}

std::string agent_name(const std::string& directory) {
    return core::to_hex(net::crypto::sha256(directory)).substr(0, 8);
}

Result<void> remove_bridge(const std::string& name) {
    TRY(commit(Batch(bridge_table(name)).add_table().remove_table(), "nft table"));
    TRY_ASSIGN(Links links, Links::open());
    return links.remove("smk" + name);
}

}  // namespace smackd::agent
