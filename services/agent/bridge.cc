#include "services/agent/bridge.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "core/bytes.h"
#include "core/wire/serialize.h"
#include "net/crypto/hash.h"
#include "net/netlink/links.h"
#include "services/agent/descriptor.h"
#include "services/agent/small_file.h"
#include "services/agent/subnet.h"
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

// What the daemon said last counts, then what a task was started with.
std::vector<std::pair<uint32_t, TaskOwner>> tenants_of(const wire::LauncherSetup& setup,
                                                       const std::vector<wire::ShimPlan>& living) {
    std::map<uint32_t, TaskOwner> all;
    for (const wire::ShimPlan& plan : living) {
        if (const auto address = core::parse_ipv4(plan.spec().network().address()))
            all[*address] = {plan.spec().tenant(), plan.spec().tenant_number()};
    }
    for (const wire::TaskTenant& one : setup.tenants()) {
        const auto address = core::parse_ipv4(one.address());
        if (address && all.contains(*address)) all[*address] = {one.tenant(), one.number()};
    }
    return {all.begin(), all.end()};
}

// What was said last of other nodes; nothing when it cannot be read: it will be said again.
wire::LauncherNetwork read_network(const std::string& path) {
    wire::LauncherNetwork network;
    const auto bytes = read_small_file(path);
    if (!bytes || !network.ParseFromString(*bytes)) network.Clear();
    return network;
}

Result<void> write_network(const std::string& path, const wire::LauncherNetwork& network) {
    const std::string bytes = wire::serialize(network);
    const std::string temporary = path + ".new";
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file || ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::rename(temporary.c_str(), path.c_str()) != 0)
        return fail_errno(errno == 0 ? ENOSPC : errno, path);
    return {};
}

// By which prefixes this machine is reached or leads elsewhere, but for what the agent `name` made.
std::vector<core::Ipv4Prefix> foreign_routes(const std::string& name) {
    return parse_routes(routes_without(name, read_small_file("/proc/net/route").value_or("")));
}

}  // namespace

Result<Bridge> Bridge::set_up(const wire::LauncherSetup& setup, const std::vector<wire::ShimPlan>& living) {
    const auto subnet = core::parse_ipv4_prefix(setup.subnet());
    if (!subnet || subnet->length < kSubnetLengthMin || subnet->length > kSubnetLengthMax) {
        return fail(Errc::kInvalid, "subnet: '{}' is no IPv4 prefix of length {} to {}", setup.subnet(),
                    kSubnetLengthMin, kSubnetLengthMax);
    }
    Bridge bridge;
    bridge.rules_.table = bridge_table(setup.name());
    bridge.rules_.device = "smk" + setup.name();
    bridge.rules_.task_devices = task_devices(setup.name());
    bridge.rules_.overlay_device = overlay_device(setup.name());
    bridge.rules_.encrypted_device = encrypted_device(setup.name());
    bridge.rules_.subnet = *subnet;
    bridge.rules_.gateway = subnet->address + 1;
    bridge.rules_.blocked.assign(setup.blocked().begin(), setup.blocked().end());
    bridge.rules_.node_ports.assign(setup.node_ports_tcp().begin(), setup.node_ports_tcp().end());
    bridge.rules_.node_ports_udp.assign(setup.node_ports_udp().begin(), setup.node_ports_udp().end());
    bridge.name_ = setup.name();
    bridge.reserved_ = setup.overlay();
    bridge.network_path_ = setup.directory() + "/network";
    bridge.key_path_ = setup.directory() + "/wireguard.key";
    const wire::LauncherNetwork last = read_network(bridge.network_path_);
    bridge.overlay_ = Overlay(setup.name(), *subnet, parse_network(last).value_or(OverlayNetwork()));
    TRY_ASSIGN(OverlayNetwork network, parse_network(setup.has_network() ? setup.network() : last));
    bridge.take_network(std::move(network));
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
    TRY(bridge.make_device(setup.wireguard_port()));
    TRY(bridge.sweep_devices(setup.name(), living));
    (void)bridge.apply_network();  // said again when other nodes are told of
    return bridge;
}

Result<void> Bridge::make_device(uint32_t wireguard_port) {
    TRY_ASSIGN(Links links, Links::open());
    if (wireguard_port != 0) {
        auto key = overlay_.set_up_encryption(key_path_, static_cast<uint16_t>(wireguard_port));
        if (key) wireguard_key_ = std::move(*key);
    } else {
        TRY(links.remove(rules_.encrypted_device));
    }
    // What tasks send must fit through the device that leads out, also with what is put around it.
    const uint32_t outer = outer_mtu(links, rules_.network.address);
    const uint32_t around = reserved_ ? kVxlanBytes + (wireguard_key_.empty() ? 0 : kWireguardBytes) : 0;
    TRY(links.make_bridge(rules_.device, outer - around, hardware_address(rules_.gateway)));
    TRY_ASSIGN(const Link link, links.find(rules_.device));
    // No IPv6 either: its addresses would be a way around the rules for the node.
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + rules_.device + "/disable_ipv6", "1");
    if (const int error = write_small_file("/proc/sys/net/ipv4/ip_forward", "1"))
        return fail_errno(error, "net.ipv4.ip_forward");
    TRY(links.set_up(link.index));
    TRY_ASSIGN(const auto addresses, links.addresses_of(link.index));
    for (const net::netlink::Route& one : addresses) {
        if (one.address != rules_.gateway) TRY(links.remove_address(link.index, one));
    }
    return links.add_address(link.index, rules_.gateway, rules_.subnet.length);
}

Result<void> Bridge::sweep_devices(const std::string& name, const std::vector<wire::ShimPlan>& living) {
    TRY_ASSIGN(Links links, Links::open());
    TRY_ASSIGN(const std::vector<Link> all, links.list());
    for (const Link& link : all) {
        if (!link.name.starts_with(rules_.task_devices)) continue;
        const auto used = std::ranges::find_if(living, [&](const wire::ShimPlan& plan) {
            const auto address = core::parse_ipv4(plan.spec().network().address());
            return address && task_device(name, *address) == link.name;
        });
        if (used != living.end()) {
            // A builder before this one may have led to it otherwise.
            auto led = lead_to_task(links, link.name, *core::parse_ipv4(used->spec().network().address()),
                                    rules_.gateway);
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
    changed.node_ports_udp.assign(blocked.node_ports_udp().begin(), blocked.node_ports_udp().end());
    TRY_ASSIGN(const Batch batch, blocked_batch(changed));
    TRY(commit(batch, "nft sets"));
    rules_ = std::move(changed);
    return {};
}

Result<void> Bridge::add_task(const wire::TaskSpec& spec) {
    const auto address = core::parse_ipv4(spec.network().address());
    if (!address) return fail(Errc::kInvalid, "network.address: '{}'", spec.network().address());
    TenantTable changed = tenants_;
    Batch batch(rules_.table);
    changed.set(*address, {spec.tenant(), spec.tenant_number()}, batch);
    if (batch.empty()) return {};
    TRY(commit(batch, "nft tenants"));
    tenants_ = std::move(changed);
    return {};
}

Result<void> Bridge::set_tenants(const google::protobuf::RepeatedPtrField<wire::TaskTenant>& tenants) {
    std::vector<std::pair<uint32_t, TaskOwner>> all;
    for (const wire::TaskTenant& one : tenants) {
        const auto address = core::parse_ipv4(one.address());
        if (!address) return fail(Errc::kInvalid, "tenants: '{}' is no IPv4 address", one.address());
        all.emplace_back(*address, TaskOwner{one.tenant(), one.number()});
    }
    TenantTable changed = tenants_;
    Batch batch(rules_.table);
    changed.replace(all, batch);
    TRY(commit(batch, "nft tenants"));
    tenants_ = std::move(changed);
    return {};
}

Result<void> Bridge::set_network(const wire::LauncherNetwork& network) {
    TRY_ASSIGN(OverlayNetwork parsed, parse_network(network));
    take_network(std::move(parsed));
    // The rules first: of a node that is gone nothing is taken, whatever becomes of the routes.
    TRY(commit(network_batch(rules_), "nft sets of other nodes"));
    TRY(apply_network());
    return write_network(network_path_, network);
}

void Bridge::take_network(OverlayNetwork network) {
    problems_ = drop_overlapping(network, rules_.subnet, foreign_routes(name_));
    for (const OverlayPeer& peer : rules_.network.peers) rules_.former.insert(peer.subnet);
    for (const OverlayPeer& peer : network.peers) rules_.former.erase(peer.subnet);
    rules_.network = std::move(network);
}

// Where there is no way, nothing is sent there: tasks go on calling other nodes at their own addresses.
Result<void> Bridge::apply_network() {
    auto done = overlay_.set(rules_.network);
    if (done) return {};
    problems_.push_back(done.error().message);
    rules_.network.vni = 0;
    rules_.network.peers.clear();
    TRY(commit(network_batch(rules_), "nft sets of other nodes"));
    return done;
}

std::string agent_name(const std::string& directory) {
    return core::to_hex(net::crypto::sha256(directory)).substr(0, 8);
}

Result<void> remove_bridge(const std::string& name) {
    TRY(commit(Batch(bridge_table(name)).add_table().remove_table(), "nft table"));
    TRY_ASSIGN(Links links, Links::open());
    TRY(links.remove(overlay_device(name)));
    TRY(links.remove(encrypted_device(name)));
    return links.remove("smk" + name);
}

}  // namespace smackd::agent
