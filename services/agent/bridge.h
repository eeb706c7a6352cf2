// The node's bridge for tasks, with its rules (bridge_rules.h) and published ports. Made by the launcher,
// used by shims.
//
// Everything carries the agent's name: device smkNAME, nft table smackd_NAME, devices of tasks vNAMExHHHH.
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
    /// their devices go.
    static core::Result<Bridge> set_up(const wire::LauncherSetup& setup,
                                       const std::vector<wire::ShimPlan>& living);

    core::Result<void> set_blocked(const wire::LauncherBlocked& blocked);
    /// Before the task has its address.
    core::Result<void> add_task(const wire::TaskSpec& spec);
    /// Of all tasks.
    core::Result<void> set_tenants(const google::protobuf::RepeatedPtrField<wire::TaskTenant>& tenants);
    std::string gateway() const { return format_ipv4(rules_.gateway); }
    const std::string& device() const { return rules_.device; }
    uint32_t prefix_length() const { return rules_.subnet.length; }
    /// What was removed, one line each.
    const std::vector<std::string>& swept() const { return swept_; }

 private:
    core::Result<void> make_device();
    core::Result<void> sweep_devices(const std::string& name, const std::vector<wire::ShimPlan>& living);

    BridgeRules rules_;
    TenantTable tenants_;
    std::vector<std::string> swept_;
};

/// The name of the agent with this directory: eight hex digits of its SHA-256.
std::string agent_name(const std::string& directory);

/// Removes bridge and table of the agent `name`, for demos, tests and uninstalling.
core::Result<void> remove_bridge(const std::string& name);

}  // namespace smackd::agent
