#include "services/agent/bridge_rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <format>

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::Result;
using net::netlink::Batch;
using net::netlink::Hook;
using net::netlink::Rule;

// Priorities of netfilter (linux/netfilter_ipv4.h).
constexpr int32_t kRaw = -300;
constexpr int32_t kDestinationNat = -100;
constexpr int32_t kFilter = 0;
constexpr int32_t kSourceNat = 100;

constexpr uint16_t kDnsPort = 53;
constexpr const char* kMetadata = "169.254.0.0/16";  // of clouds: 169.254.169.254 and its neighbours
constexpr const char* kAlibabaMetadata = "100.100.100.200";
constexpr uint32_t kLoopback = 127U << 24U;

constexpr int32_t kBeforeFilter = -10;
constexpr const char* kVxlanSet = "vxlan";            // port and network number of this cluster
constexpr const char* kUnderlayPortSet = "underlay";  // ports of nodes that tasks never send to
constexpr const char* kPeerSet = "peers";             // address of a node, its subnet
constexpr const char* kEncryptedSet = "encrypted";    // the same by the encrypted device
constexpr const char* kNodeMap = "nodes";             // address of a node -> its gateway
constexpr const char* kFormerSet = "former";          // prefixes
constexpr const char* kAllowedSet = "allowed";        // from tenant to tenant
constexpr const char* kAllowedPortSet = "allowed_ports";
constexpr const char* kNodeUdpPortSet = "node_ports_udp";
constexpr uint32_t kUnknownTenant = 0;

using Source = Rule::SourceNumber;

/// What comes in the clear or encrypted for the device of the overlay: of known nodes, with addresses of the
/// node's own subnet inside. In a chain of its own, before the one that lets in what is no task's.
void add_underlay(Batch& batch, const BridgeRules& rules) {
    const auto vxlan = [] { return Rule().ipv4().protocol(IPPROTO_UDP).vxlan_in_set(kVxlanSet); };
    const std::string& encrypted = rules.encrypted_device;
    const uint32_t length = rules.subnet.length;
    batch.add_chain("underlay", "filter", Hook::kInput, kFilter + kBeforeFilter);
    batch.add_rule("underlay",
                   vxlan().input_device(encrypted, false).vxlan_source_in_set(kPeerSet, length).accept());
    batch.add_rule("underlay",
                   vxlan().input_device(encrypted).vxlan_source_in_set(kEncryptedSet, length).accept());
    batch.add_rule("underlay", vxlan().drop());
    batch.add_rule("underlay", Rule().input_device(encrypted).drop());
}

void add_input(Batch& batch, const BridgeRules& rules) {
    const std::string& tasks = rules.task_devices;
    batch.add_chain("input", "filter", Hook::kInput, kFilter);
    batch.add_rule("input", Rule().established().accept());
    for (const auto& [protocol, set] :
         {std::pair{uint8_t{IPPROTO_TCP}, kNodePortSet}, std::pair{uint8_t{IPPROTO_UDP}, kNodeUdpPortSet}}) {
        batch.add_rule("input", Rule()
                                    .input_device(rules.overlay_device)
                                    .protocol(protocol)
                                    .destination_port_in_set(set)
                                    .accept());
    }
    batch.add_rule("input", Rule().input_device(rules.overlay_device).drop());
    batch.add_rule("input", Rule().input_devices(tasks, false).accept());
    for (const uint8_t protocol : {uint8_t{IPPROTO_UDP}, uint8_t{IPPROTO_TCP}}) {
        batch.add_rule("input", Rule()
                                    .ipv4()
                                    .destination_in(rules.gateway, 32)
                                    .protocol(protocol)
                                    .destination_port(kDnsPort)
                                    .accept());
    }
    batch.add_rule("input", Rule().protocol(IPPROTO_TCP).destination_port_in_set(kNodePortSet).accept());
    batch.add_rule("input", Rule().protocol(IPPROTO_UDP).destination_port_in_set(kNodeUdpPortSet).accept());
    batch.add_rule("input", Rule().drop());
}

/// What may not pass at all, whoever has begun it, and what goes to other nodes.
void add_forward_borders(Batch& batch, const BridgeRules& rules) {
    const std::string& tasks = rules.task_devices;
    const std::string& overlay = rules.overlay_device;
    batch.add_rule("forward", Rule().input_devices(tasks).ipv4().destination_in_set(kBlockedSet).drop());
    batch.add_rule("forward", Rule().input_devices(tasks).ipv4().destination_in_set(kFormerSet).drop());
    // A task that speaks VXLAN would be taken for its node.
    batch.add_rule(
        "forward",
        Rule().input_devices(tasks).protocol(IPPROTO_UDP).destination_port_in_set(kUnderlayPortSet).drop());
    batch.add_rule("forward", Rule().input_device(rules.encrypted_device).drop());
    batch.add_rule("forward", Rule().output_device(rules.encrypted_device).drop());
    batch.add_rule(
        "forward",
        Rule().input_devices(tasks).output_device(overlay).ipv4().set_mark_by_source(kTenantMap).accept());
    batch.add_rule("forward", Rule().output_device(overlay).drop());
    batch.add_rule("forward", Rule().input_device(overlay).output_devices(tasks, false).drop());
}

/// To a task, from one of this node or of another: of its tenant, common, or allowed.
void add_forward_tenants(Batch& batch, const Rule& from, Source source) {
    const auto rule = [&] { return Rule(from).ipv4(); };
    const bool by_mark = source == Source::kMark;
    batch.add_rule("forward", by_mark ? rule().packet_mark_is(kCommonTenant).accept()
                                      : rule().source_mark_is(kTenantMap, kCommonTenant).accept());
    batch.add_rule("forward", rule().destination_mark_is(kTenantMap, kCommonTenant).accept());
    batch.add_rule("forward", by_mark
                                  ? rule().destination_with_packet_mark_in(kMemberSet).accept()
                                  : rule().destination_with_source_mark_in(kTenantMap, kMemberSet).accept());
    batch.add_rule("forward", rule().numbers_in(kAllowedSet, kTenantMap, source).accept());
    batch.add_rule("forward", rule().numbers_and_port_in(kAllowedPortSet, kTenantMap, source).accept());
    batch.add_rule("forward", Rule(from).drop());
}

void add_filters(Batch& batch, const BridgeRules& rules) {
    const std::string& tasks = rules.task_devices;
    batch.add_chain("raw", "filter", Hook::kPrerouting, kRaw);
    // route_localnet, which lets the host reach published ports at 127.0.0.1, would let tasks reach the
    // host's loopback.
    batch.add_rule("raw", Rule().input_devices(tasks).ipv4().destination_in(kLoopback, 8).drop());
    batch.add_rule("raw", Rule()
                              .input_devices(tasks)
                              .ipv4()
                              .source_in(rules.subnet.address, rules.subnet.length, false)
                              .drop());  // somebody else's address
    add_underlay(batch, rules);
    add_input(batch, rules);
    batch.add_chain("forward", "filter", Hook::kForward, kFilter);
    add_forward_borders(batch, rules);
    // Who began it is asked at each packet, so that what is no longer allowed ends.
    batch.add_rule("forward", Rule().answers().accept());
    batch.add_rule("forward", Rule().output_devices(tasks, false).accept());
    const Rule from_other_node = Rule().input_device(rules.overlay_device);
    batch.add_rule("forward", Rule(from_other_node).packet_mark_is(kUnknownTenant).drop());
    add_forward_tenants(batch, from_other_node, Source::kMark);
    add_forward_tenants(batch, Rule().input_devices(tasks), Source::kByMap);
    batch.add_rule("forward", Rule().translated().accept());
    batch.add_rule("forward", Rule().drop());
    // What the node itself sends to tasks of others (its ingress, its health checks) is common, as on its
    // own.
    batch.add_chain("output", "filter", Hook::kOutput, kFilter);
    batch.add_rule("output", Rule().output_device(rules.overlay_device).set_mark(kCommonTenant));
}

void add_translation(Batch& batch, const BridgeRules& rules) {
    const Rule published = Rule().ipv4().destination_is_local().translate_by(kPortMap);
    batch.add_chain("published_in", "nat", Hook::kPrerouting, kDestinationNat)
        .add_rule("published_in", published);
    for (const uint8_t protocol : {uint8_t{IPPROTO_TCP}, uint8_t{IPPROTO_UDP}}) {
        batch.add_rule("published_in", Rule()
                                           .input_devices(rules.task_devices)
                                           .ipv4()
                                           .protocol(protocol)
                                           .translate_address_by(kNodeMap));
    }
    batch.add_chain("published_out", "nat", Hook::kOutput, kDestinationNat)
        .add_rule("published_out", published);
    batch.add_chain("source", "nat", Hook::kPostrouting, kSourceNat);
    const core::Ipv4Prefix& subnet = rules.subnet;
    batch.add_rule("source", Rule()
                                 .ipv4()
                                 .source_in(subnet.address, subnet.length)
                                 .output_devices(rules.task_devices, false)
                                 .output_device(rules.overlay_device, false)
                                 .masquerade());
    // A task that calls a published port of its own node, and the host at its loopback: the answer must come
    // back here.
    for (const auto& [address, length] : {std::pair{subnet.address, subnet.length}, {kLoopback, 8U}}) {
        batch.add_rule("source", Rule()
                                     .ipv4()
                                     .output_devices(rules.task_devices)
                                     .source_in(address, length)
                                     .translated()
                                     .masquerade());
    }
}

void fill_allowed(Batch& batch, const std::vector<TenantAllowed>& allowed) {
    Batch::Pairs all;
    std::vector<net::netlink::NumbersAndPort> ports;
    for (const TenantAllowed& one : allowed) {
        if (one.port == 0) all.emplace_back(one.from, one.to);
        if (one.port != 0) ports.push_back({one.from, one.to, one.protocol, one.port});
    }
    batch.add_numbers(kAllowedSet, all).add_numbers_and_ports(kAllowedPortSet, ports);
}

void fill_network(Batch& batch, const BridgeRules& rules) {
    const OverlayNetwork& network = rules.network;
    fill_allowed(batch, network.allowed);
    Batch::Pairs former;
    for (const core::Ipv4Prefix& prefix : rules.former) former.emplace_back(prefix.address, prefix.last());
    batch.add_prefixes(kFormerSet, former);
    if (network.vni == 0) return;
    batch.add_vxlan(kVxlanSet, network.port, network.vni);
    Batch::Pairs clear;
    Batch::Pairs encrypted;
    Batch::Pairs nodes;
    std::set<uint16_t> ports = {network.port};
    for (const OverlayPeer& peer : network.peers) {
        ports.insert({peer.port, peer.wireguard_port});
        nodes.emplace_back(peer.address, peer.gateway());
        if (peer.encrypted()) encrypted.emplace_back(peer.underlay(), peer.subnet.address);
        if (!peer.encrypted()) clear.emplace_back(peer.address, peer.subnet.address);
    }
    ports.erase(0);
    batch.add_pairs(kPeerSet, clear).add_pairs(kEncryptedSet, encrypted).map_to_addresses(kNodeMap, nodes);
    batch.add_ports(kUnderlayPortSet, {ports.begin(), ports.end()});
}

}  // namespace

Result<std::vector<std::pair<uint32_t, uint32_t>>> blocked_ranges(const std::vector<std::string>& prefixes) {
    std::vector<std::pair<uint32_t, uint32_t>> ranges;
    std::vector<std::string> all = prefixes;
    all.insert(all.end(), {kMetadata, kAlibabaMetadata});
    for (const std::string& text : all) {
        const auto prefix = core::parse_ipv4_prefix(text);
        if (!prefix) return fail(Errc::kInvalid, "blocked: '{}' is no IPv4 prefix", text);
        ranges.emplace_back(prefix->address, prefix->last());
    }
    std::ranges::sort(ranges);
    std::vector<std::pair<uint32_t, uint32_t>> merged;
    for (const auto& range : ranges) {
        if (!merged.empty() &&
            (merged.back().second == UINT32_MAX || range.first <= merged.back().second + 1)) {
            merged.back().second = std::max(merged.back().second, range.second);
        } else {
            merged.push_back(range);
        }
    }
    return merged;
}

Result<std::vector<uint16_t>> node_ports(const std::vector<uint32_t>& ports) {
    std::vector<uint16_t> out;
    for (const uint32_t port : ports) {
        if (port == 0 || port > 65535) return fail(Errc::kInvalid, "node ports: {} is none", port);
        out.push_back(static_cast<uint16_t>(port));
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

Result<Batch> table_batch(const BridgeRules& rules, const std::vector<wire::ShimPlan>& living) {
    TRY_ASSIGN(const auto ranges, blocked_ranges(rules.blocked));
    TRY_ASSIGN(const auto ports, node_ports(rules.node_ports));
    Batch batch(rules.table);
    // Added first, as removing one that is not there would fail; packets meet the old table or the new one.
    batch.add_table().remove_table().add_table();
    batch.add_port_map(kPortMap).add_prefix_set(kBlockedSet, ranges).add_port_set(kNodePortSet, ports);
    TRY_ASSIGN(const auto udp_ports, node_ports(rules.node_ports_udp));
    batch.add_port_set(kNodeUdpPortSet, udp_ports);
    batch.add_mark_map(kTenantMap).add_marked_set(kMemberSet);
    batch.add_vxlan_set(kVxlanSet).add_port_set(kUnderlayPortSet, {}).add_pair_set(kPeerSet);
    batch.add_pair_set(kEncryptedSet).add_address_map(kNodeMap).add_prefix_set(kFormerSet, {});
    batch.add_number_set(kAllowedSet).add_number_port_set(kAllowedPortSet);
    fill_network(batch, rules);
    add_filters(batch, rules);
    add_translation(batch, rules);
    for (const wire::ShimPlan& plan : living) {
        const auto address = core::parse_ipv4(plan.spec().network().address());
        if (!address) continue;
        for (const wire::PublishedPort& port : plan.spec().network().ports())
            batch.map_port(kPortMap, port_mapping(port, *address));
    }
    return batch;
}

Result<Batch> blocked_batch(const BridgeRules& rules) {
    TRY_ASSIGN(const auto ranges, blocked_ranges(rules.blocked));
    TRY_ASSIGN(const auto ports, node_ports(rules.node_ports));
    Batch batch(rules.table);
    batch.flush_set(kBlockedSet).add_prefixes(kBlockedSet, ranges);
    batch.flush_set(kNodePortSet).add_ports(kNodePortSet, ports);
    TRY_ASSIGN(const auto udp_ports, node_ports(rules.node_ports_udp));
    batch.flush_set(kNodeUdpPortSet).add_ports(kNodeUdpPortSet, udp_ports);
    return batch;
}

Batch network_batch(const BridgeRules& rules) {
    Batch batch(rules.table);
    for (const char* set : {kVxlanSet, kUnderlayPortSet, kPeerSet, kEncryptedSet, kNodeMap, kFormerSet,
                            kAllowedSet, kAllowedPortSet})
        batch.flush_set(set);
    fill_network(batch, rules);
    return batch;
}

// Numbers of this node alone have nothing in the sixteen bits that packets to others carry.
uint32_t TenantTable::number_of(const TaskOwner& owner) {
    if (owner.tenant.empty()) return kCommonTenant;
    if (owner.number != 0) return owner.number;
    const auto next = (static_cast<uint32_t>(numbers_.size()) + 1) << 16U;
    return numbers_.try_emplace(owner.tenant, next).first->second;
}

void TenantTable::add(uint32_t address, uint32_t number, Batch& batch) {
    addresses_[address] = number;
    batch.map_address(kTenantMap, address, number);
    if (number != kCommonTenant) batch.add_marked(kMemberSet, address, number);
}

void TenantTable::set(uint32_t address, const TaskOwner& owner, Batch& batch) {
    const uint32_t number = number_of(owner);
    if (const auto known = addresses_.find(address); known != addresses_.end()) {
        if (known->second == number) return;
        batch.unmap_address(kTenantMap, address);
        if (known->second != kCommonTenant) batch.remove_marked(kMemberSet, address, known->second);
    }
    add(address, number, batch);
}

void TenantTable::replace(const std::vector<std::pair<uint32_t, TaskOwner>>& all, Batch& batch) {
    batch.flush_set(kTenantMap).flush_set(kMemberSet);
    addresses_.clear();
    for (const auto& [address, owner] : all) {
        if (!addresses_.contains(address)) add(address, number_of(owner), batch);
    }
}

std::string hardware_address(uint32_t address) {
    std::string bytes = {0x02, 0x53};
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>((address >> shift) & 0xff));
    return bytes;
}

std::string bridge_table(const std::string& name) {
    return "smackd_" + name;
}

std::string task_devices(const std::string& name) {
    return std::format("v{}x", name);
}

std::string overlay_device(const std::string& name) {
    return "smx" + name;
}

std::string encrypted_device(const std::string& name) {
    return "smw" + name;
}

std::string task_device(const std::string& name, uint32_t address) {
    return std::format("{}{:04x}", task_devices(name), address & 0xffffU);  // 14 bytes of 15
}

net::netlink::PortMapping port_mapping(const wire::PublishedPort& port, uint32_t address) {
    net::netlink::PortMapping mapping;
    mapping.protocol = port.protocol() == wire::PublishedPort::UDP ? IPPROTO_UDP : IPPROTO_TCP;
    mapping.port = static_cast<uint16_t>(port.host_port());
    mapping.to_address = address;
    mapping.to_port = static_cast<uint16_t>(port.task_port());
    return mapping;
}

}  // namespace smackd::agent
