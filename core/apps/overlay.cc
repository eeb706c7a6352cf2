#include "core/apps/overlay.h"

#include <algorithm>
#include <format>
#include <optional>

#include "core/bytes.h"
#include "core/wire/serialize.h"

namespace smackd::apps {
namespace {

constexpr uint32_t kVniMask = 0xffffffU;
constexpr uint32_t kLoopback = 127U << 24U;

bool takes_part(const OverlayRows& rows, uint64_t id) {
    const auto node = rows.nodes.find(id);
    if (node == rows.nodes.end()) return false;
    const auto machine = rows.machines.find(node->second.machine());
    return machine == rows.machines.end() || machine->second.state() != wire::MACHINE_SUSPENDED;
}

std::optional<core::Ipv4Prefix> subnet_of(const wire::NodeCapacity& capacity) {
    const auto subnet = core::parse_ipv4_prefix(capacity.task_subnet());
    return subnet && subnet->length == kTaskSubnetLength ? subnet : std::nullopt;
}

/// Nothing when packets can be sent there.
std::string address_problem(const OverlayRows& rows, const wire::NodeCapacity& capacity, uint64_t id) {
    const auto address = core::parse_ipv4(capacity.address());
    if (!address || (*address & 0xff000000U) == kLoopback)
        return std::format("has no IPv4 address that others reach ('{}')", capacity.address());
    for (const auto& [other, row] : rows.capacities) {
        if (other != id && network_of(row).vxlan_port() != 0 && row.address() == capacity.address() &&
            takes_part(rows, other))
            return std::format("has the address of node {}, {}", other, capacity.address());
    }
    return "";
}

wire::NetworkPeer peer_of(const wire::NodeCapacity& capacity, const wire::NodeNetwork& network,
                          const std::string& machine) {
    wire::NetworkPeer peer;
    peer.set_subnet(capacity.task_subnet());
    peer.set_address(capacity.address());
    peer.set_port(network.vxlan_port());
    peer.set_name(machine);
    return peer;
}

}  // namespace

wire::NodeNetwork network_of(const wire::NodeCapacity& capacity) {
    wire::NodeNetwork seen;
    wire::NodeNetwork network;
    if (!seen.ParseFromString(wire::serialize(capacity))) return network;
    // Without the fields that are NodeCapacity's own, which are unknown ones here.
    network.set_vxlan_port(seen.vxlan_port());
    network.set_wireguard_key(seen.wireguard_key());
    network.set_wireguard_port(seen.wireguard_port());
    network.set_encrypted_only(seen.encrypted_only());
    *network.mutable_problems() = seen.problems();
    return network;
}

void set_network(wire::NodeCapacity& capacity, const wire::NodeNetwork& network) {
    (void)capacity.MergeFromString(wire::serialize(network));
}

std::map<uint64_t, core::Ipv4Prefix> task_subnets(const OverlayRows& rows) {
    std::map<uint64_t, core::Ipv4Prefix> subnets;
    for (const auto& [id, capacity] : rows.capacities) {
        const auto subnet = subnet_of(capacity);
        if (!subnet || !takes_part(rows, id)) continue;
        const bool taken =
            std::ranges::any_of(subnets, [&](const auto& entry) { return entry.second.overlaps(*subnet); });
        if (!taken) subnets[id] = *subnet;
    }
    return subnets;
}

Overlay overlay_of(const OverlayRows& rows, core::NodeId self) {
    Overlay overlay;
    const auto own = rows.capacities.find(self.value);
    if (own == rows.capacities.end()) return overlay;
    const auto subnets = task_subnets(rows);
    overlay.subnet_lost =
        takes_part(rows, self.value) && subnet_of(own->second) && !subnets.contains(self.value);
    const wire::NodeNetwork own_network = network_of(own->second);
    if (own_network.vxlan_port() == 0 || !subnets.contains(self.value)) return overlay;
    const auto tell = [&](const wire::PutNode& node, std::string_view problem) {
        overlay.problems.push_back(std::format("tasks of {}: {}", node.machine(), problem));
    };
    for (const auto& [id, subnet] : subnets) {
        const wire::NodeCapacity& capacity = rows.capacities.at(id);
        const wire::NodeNetwork network = network_of(capacity);
        const wire::PutNode& node = rows.nodes.at(id);
        if (id == self.value) continue;
        if (network.vxlan_port() == 0) {
            tell(node, "that node takes no packets for them");
            continue;
        }
        if (const std::string problem = address_problem(rows, capacity, id); !problem.empty()) {
            tell(node, "it " + problem);
            continue;
        }
        wire::NetworkPeer peer = peer_of(capacity, network, node.machine());
        if (!own_network.wireguard_key().empty() && !network.wireguard_key().empty()) {
            peer.set_wireguard_key(network.wireguard_key());
            peer.set_wireguard_port(network.wireguard_port());
        } else if (own_network.encrypted_only() || network.encrypted_only()) {
            tell(node, "one of the two wants encryption and the other has no WireGuard");
            continue;
        }
        overlay.peers[id] = std::move(peer);
    }
    return overlay;
}

uint32_t overlay_vni(const std::string& cluster_id) {
    const uint32_t vni = core::crc32c(cluster_id) & kVniMask;
    return vni == 0 ? 1 : vni;
}

}  // namespace smackd::apps
