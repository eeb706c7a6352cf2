// The nft table of the node's bridge: who may talk to whom, and published ports. Pure: rules, not their
// making.
//
// From a task: tasks of its tenant and common ones, those of tenants that let it, the world (masqueraded),
// DNS and the named ports of the node; not the node's other ports, not its loopback, not blocked addresses
// (cloud metadata among them), not tasks of other tenants, at their published ports neither. To a task: only
// published ports and answers.
//
// From node to node (overlay.h): what a task sends carries its tenant's number as the packet's mark, set by
// its own node; the node of the task that is reached decides by it. Taken are packets of known nodes alone,
// each with addresses of its own subnet inside. What a task sends to a known node's address goes the same
// way, to that node's gateway, so that published ports there ask for the tenant too.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/ipv4.h"
#include "core/result.h"
#include "core/wire/task.pb.h"
#include "net/netlink/nftables.h"
#include "services/agent/overlay.h"

namespace smackd::agent {

inline constexpr const char* kPortMap = "published";
inline constexpr const char* kBlockedSet = "blocked";
inline constexpr const char* kNodePortSet = "node_ports";
inline constexpr const char* kTenantMap = "tenants";  ///< address of a task -> number of its tenant
inline constexpr const char* kMemberSet = "members";  ///< address of a tenant's task, and that number
/// Tenants are numbers here. An address without a number reaches nobody.
inline constexpr uint32_t kCommonTenant = 1;

struct BridgeRules {
    std::string table{};             ///< "smackd_NAME"
    std::string device{};            ///< "smkNAME"
    std::string task_devices{};      ///< task_devices(NAME)
    std::string overlay_device{};    ///< overlay_device(NAME)
    std::string encrypted_device{};  ///< encrypted_device(NAME)
    core::Ipv4Prefix subnet{};
    uint32_t gateway = 0;
    std::vector<std::string> blocked{};      ///< prefixes
    std::vector<uint32_t> node_ports{};      ///< TCP
    std::vector<uint32_t> node_ports_udp{};  ///< as node_ports
    OverlayNetwork network{};
    /// Subnets of nodes that were here: what is still sent to them leaks nowhere.
    std::set<core::Ipv4Prefix> former{};
};

/// The tenant of a task: its name, empty for common, and its number in the cluster. Without one (0) it is
/// known on this node alone.
struct TaskOwner {
    std::string tenant{};
    uint32_t number = 0;
};

/// Which task addresses are whose.
class TenantTable {
 public:
    /// Replaces what is known of the address.
    void set(uint32_t address, const TaskOwner& owner, net::netlink::Batch& batch);
    /// Replaces everything.
    void replace(const std::vector<std::pair<uint32_t, TaskOwner>>& all, net::netlink::Batch& batch);

 private:
    uint32_t number_of(const TaskOwner& owner);
    void add(uint32_t address, uint32_t number, net::netlink::Batch& batch);

    std::map<std::string, uint32_t> numbers_;
    std::map<uint32_t, uint32_t> addresses_;
};

/// kInvalid names what is no prefix or port. Prefixes that touch or overlap become one; the metadata
/// addresses are added.
core::Result<std::vector<std::pair<uint32_t, uint32_t>>> blocked_ranges(
    const std::vector<std::string>& prefixes);
core::Result<std::vector<uint16_t>> node_ports(const std::vector<uint32_t>& ports);

/// The MAC address of the device with this IPv4 address, locally administered: 02:53 and the address. A
/// bridge whose address the kernel chooses takes the lowest of its ports, which changes as tasks come and go
/// and cuts off those that know the old one; and a task gets the address of one before it, whose MAC address
/// others may still know.
std::string hardware_address(uint32_t address);

/// The whole table anew, with the ports of `living`, in one batch.
core::Result<net::netlink::Batch> table_batch(const BridgeRules& rules,
                                              const std::vector<wire::ShimPlan>& living);
core::Result<net::netlink::Batch> blocked_batch(const BridgeRules& rules);
/// Who the other nodes are and what is allowed, in place of what was there.
net::netlink::Batch network_batch(const BridgeRules& rules);

std::string bridge_table(const std::string& name);
/// What names of task_device() begin with.
std::string task_devices(const std::string& name);
/// The host's end of a task's pair of devices.
std::string task_device(const std::string& name, uint32_t address);
net::netlink::PortMapping port_mapping(const wire::PublishedPort& port, uint32_t address);

}  // namespace smackd::agent
