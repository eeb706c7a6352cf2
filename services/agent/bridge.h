// The node's bridge for tasks, with its rules (bridge_rules.h) and published ports. Made by the launcher,
// used by shims.
//
// Everything carries the agent's name: device smkNAME, nft table smackd_NAME, devices of tasks vNAMExHHHH and
// those of the overlay.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/wire/task.pb.h"
#include "services/agent/bridge_rules.h"

namespace smackd::agent {

class Bridge {
 public:
    /// Makes or repairs device, address and rules; published ports of living tasks stay, those of others and
    /// their devices go. Tasks of other nodes are reached as the set-up says, else as was said last.
    static core::Result<Bridge> set_up(const wire::LauncherSetup& setup,
                                       const std::vector<wire::ShimPlan>& living);

    core::Result<void> set_blocked(const wire::LauncherBlocked& blocked);
    /// Before the task has its address.
    core::Result<void> add_task(const wire::TaskSpec& spec);
    /// Of all tasks.
    core::Result<void> set_tenants(const google::protobuf::RepeatedPtrField<wire::TaskTenant>& tenants);
    /// Replaces who the other nodes are and what is allowed between tenants. Peers that are left out are in
    /// problems(). kUnsupported: this machine cannot reach tasks of others; what is allowed holds.
    core::Result<void> set_network(const wire::LauncherNetwork& network);
    /// Why tasks of other nodes are not reached.
    const std::vector<std::string>& problems() const { return problems_; }
    /// Public, of this node; empty: nothing is encrypted.
    const core::Bytes& wireguard_key() const { return wireguard_key_; }
    std::string gateway() const { return core::format_ipv4(rules_.gateway); }
    const std::string& device() const { return rules_.device; }
    uint32_t prefix_length() const { return rules_.subnet.length; }
    /// What was removed, one line each.
    const std::vector<std::string>& swept() const { return swept_; }

 private:
    core::Result<void> make_device(uint32_t wireguard_port);
    void take_network(OverlayNetwork network);
    core::Result<void> apply_network();
    core::Result<void> sweep_devices(const std::string& name, const std::vector<wire::ShimPlan>& living);

    BridgeRules rules_;
    TenantTable tenants_;
    std::vector<std::string> swept_;
    std::string name_;
    bool reserved_ = false;     // tasks' packets leave room for what goes around them
    std::string network_path_;  // of what was said last of other nodes
    std::string key_path_;
    Overlay overlay_;
    core::Bytes wireguard_key_;
    std::vector<std::string> problems_;
};

/// The name of the agent with this directory: eight hex digits of its SHA-256.
std::string agent_name(const std::string& directory);

/// Removes bridge, overlay and table of the agent `name`, for demos, tests and uninstalling.
core::Result<void> remove_bridge(const std::string& name);

}  // namespace smackd::agent
