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
    batch.add_chain("input", "filter", Hook::kInput, kFilter);
    batch.add_rule("input", Rule().input_devices(tasks, false).accept());
    batch.add_rule("input", Rule().established().accept());
    for (const uint8_t protocol : {uint8_t{IPPROTO_UDP}, uint8_t{IPPROTO_TCP}}) {
        batch.add_rule("input", Rule()
                                    .ipv4()
                                    .destination_in(rules.gateway, 32)
                                    .protocol(protocol)
                                    .destination_port(kDnsPort)
                                    .accept());
    }
    batch.add_rule("input", Rule().protocol(IPPROTO_TCP).destination_port_in_set(kNodePortSet).accept());
    batch.add_rule("input", Rule().drop());
    batch.add_chain("forward", "filter", Hook::kForward, kFilter);
    batch.add_rule("forward", Rule().input_devices(tasks).ipv4().destination_in_set(kBlockedSet).drop());
    batch.add_rule("forward", Rule().established().accept());
    batch.add_rule("forward", Rule().output_devices(tasks, false).accept());
    // From task to task.
    batch.add_rule("forward",
                   Rule().input_devices(tasks).ipv4().source_mark_is(kTenantMap, kCommonTenant).accept());
    batch.add_rule(
        "forward",
        Rule().input_devices(tasks).ipv4().destination_mark_is(kTenantMap, kCommonTenant).accept());
    batch.add_rule(
        "forward",
        Rule().input_devices(tasks).ipv4().destination_with_source_mark_in(kTenantMap, kMemberSet).accept());
    batch.add_rule("forward", Rule().input_devices(tasks).drop());
    batch.add_rule("forward", Rule().translated().accept());
    batch.add_rule("forward", Rule().drop());
}

void add_translation(Batch& batch, const BridgeRules& rules) {
    const Rule published = Rule().ipv4().destination_is_local().translate_by(kPortMap);
    batch.add_chain("published_in", "nat", Hook::kPrerouting, kDestinationNat)
        .add_rule("published_in", published);
    batch.add_chain("published_out", "nat", Hook::kOutput, kDestinationNat)
        .add_rule("published_out", published);
    batch.add_chain("source", "nat", Hook::kPostrouting, kSourceNat);
    const Ipv4Prefix& subnet = rules.subnet;
    batch.add_rule("source", Rule()
                                 .ipv4()
                                 .source_in(subnet.address, subnet.length)
                                 .output_devices(rules.task_devices, false)
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

}  // namespace

Result<std::vector<std::pair<uint32_t, uint32_t>>> blocked_ranges(const std::vector<std::string>& prefixes) {
    std::vector<std::pair<uint32_t, uint32_t>> ranges;
    std::vector<std::string> all = prefixes;
    all.insert(all.end(), {kMetadata, kAlibabaMetadata});
    for (const std::string& text : all) {
        const auto prefix = parse_ipv4_prefix(text);
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
    batch.add_mark_map(kTenantMap).add_marked_set(kMemberSet);
    add_filters(batch, rules);
    add_translation(batch, rules);
    for (const wire::ShimPlan& plan : living) {
        const auto address = parse_ipv4(plan.spec().network().address());
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
    return batch;
}

uint32_t TenantTable::number_of(const std::string& tenant) {
    if (tenant.empty()) return kCommonTenant;
    const auto next = static_cast<uint32_t>(numbers_.size()) + kCommonTenant + 1;
    return numbers_.try_emplace(tenant, next).first->second;
}

void TenantTable::add(uint32_t address, uint32_t number, Batch& batch) {
    addresses_[address] = number;
    batch.map_address(kTenantMap, address, number);
    if (number != kCommonTenant) batch.add_marked(kMemberSet, address, number);
}

void TenantTable::set(uint32_t address, const std::string& tenant, Batch& batch) {
    const uint32_t number = number_of(tenant);
    if (const auto known = addresses_.find(address); known != addresses_.end()) {
        if (known->second == number) return;
        batch.unmap_address(kTenantMap, address);
        if (known->second != kCommonTenant) batch.remove_marked(kMemberSet, address, known->second);
    }
    add(address, number, batch);
}

void TenantTable::replace(const std::vector<std::pair<uint32_t, std::string>>& all, Batch& batch) {
    batch.flush_set(kTenantMap).flush_set(kMemberSet);
    addresses_.clear();
    for (const auto& [address, tenant] : all) {
        if (!addresses_.contains(address)) add(address, number_of(tenant), batch);
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
