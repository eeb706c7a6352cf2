#include "services/agent/bridge.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

#include "core/bytes.h"
#include "net/crypto/hash.h"
#include "net/netlink/links.h"
#include "services/agent/small_file.h"
#include "services/agent/sweep.h"
#include "services/agent/task_link.h"
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

// What the daemon said last counts, then what a task was started with.
std::vector<std::pair<uint32_t, std::string>> tenants_of(const wire::LauncherSetup& setup,
                                                         const std::vector<wire::ShimPlan>& living) {
    std::map<uint32_t, std::string> all;
    for (const wire::ShimPlan& plan : living) {
        if (const auto address = parse_ipv4(plan.spec().network().address()))
            all[*address] = plan.spec().tenant();
    }
    for (const wire::TaskTenant& one : setup.tenants()) {
        const auto address = parse_ipv4(one.address());
        if (address && all.contains(*address)) all[*address] = one.tenant();
    }
    return {all.begin(), all.end()};
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
    bridge.rules_.task_devices = task_devices(setup.name());
    bridge.rules_.subnet = *subnet;
    bridge.rules_.gateway = subnet->address + 1;
    bridge.rules_.blocked.assign(setup.blocked().begin(), setup.blocked().end());
    bridge.rules_.node_ports.assign(setup.node_ports_tcp().begin(), setup.node_ports_tcp().end());
    std::vector<wire::ShimPlan> publishing = living;
    std::erase_if(publishing, has_ended);
    TRY_ASSIGN(Batch table, table_batch(bridge.rules_, publishing));
    bridge.tenants_.replace(tenants_of(setup, living), table);
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
    // No IPv6 either: its addresses would be a way around the rules for the node.
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + rules_.device + "/disable_ipv6", "1");
    if (const int error = write_small_file("/proc/sys/net/ipv4/ip_forward", "1"))
        return fail_errno(error, "net.ipv4.ip_forward");
    TRY(links.set_up(link.index));
    return links.add_address(link.index, rules_.gateway, rules_.subnet.length);
}

Result<void> Bridge::sweep_devices(const std::string& name, const std::vector<wire::ShimPlan>& living) {
    TRY_ASSIGN(Links links, Links::open());
    TRY_ASSIGN(const std::vector<Link> all, links.list());
    for (const Link& link : all) {
        if (!link.name.starts_with(rules_.task_devices)) continue;
        const auto used = std::ranges::find_if(living, [&](const wire::ShimPlan& plan) {
            const auto address = parse_ipv4(plan.spec().network().address());
            return address && task_device(name, *address) == link.name;
        });
        if (used != living.end()) {
            // A builder before this one may have led to it otherwise.
            auto led =
                lead_to_task(links, link.name, *parse_ipv4(used->spec().network().address()), rules_.gateway);
            if (!led && links.find(link.name)) return led;  // else it has just ended
            continue;
        }
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

Result<void> Bridge::add_task(const wire::TaskSpec& spec) {
    const auto address = parse_ipv4(spec.network().address());
    if (!address) return fail(Errc::kInvalid, "network.address: '{}'", spec.network().address());
    TenantTable changed = tenants_;
    Batch batch(rules_.table);
    changed.set(*address, spec.tenant(), batch);
    if (batch.empty()) return {};
    TRY(commit(batch, "nft tenants"));
    tenants_ = std::move(changed);
    return {};
}

Result<void> Bridge::set_tenants(const google::protobuf::RepeatedPtrField<wire::TaskTenant>& tenants) {
    std::vector<std::pair<uint32_t, std::string>> all;
    for (const wire::TaskTenant& one : tenants) {
        const auto address = parse_ipv4(one.address());
        if (!address) return fail(Errc::kInvalid, "tenants: '{}' is no IPv4 address", one.address());
        all.emplace_back(*address, one.tenant());
    }
    TenantTable changed = tenants_;
    Batch batch(rules_.table);
    changed.replace(all, batch);
    TRY(commit(batch, "nft tenants"));
    tenants_ = std::move(changed);
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
