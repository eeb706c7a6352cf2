// Where the edge of a node listens, and what it is told besides applications: listeners and groups by the
// configuration, the node's addresses and which nodes are public.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/tasks_config.h"
#include "core/wire/edge.pb.h"
#include "services/apps/model.h"

namespace smackd::cmd {

/// What stays as it is while the node runs.
struct EdgeSetup {
    EdgeConfig config;
    std::vector<std::string> api_hosts;
    std::string token_issuer;
    std::vector<std::string> name_servers;  ///< "ADDRESS:53": who is asked for names that are not ours
    bool demo = false;                      ///< service ports on the ingress' address and the bridge alone
};

/// "ADDRESS:53" of each `nameserver` of the host (resolv.conf(5)).
std::vector<std::string> system_name_servers();

/// Where the node is; what is unknown is empty.
struct EdgePlace {
    core::NodeId self;
    std::string address;         ///< that others reach it at
    std::string gateway;         ///< of the bridge of its tasks
    std::string task_network{};  ///< of that bridge, a CIDR
};

/// The usual listeners: DNS at port 53 of `address`, 127.0.0.1 and the gateway; ingress at ports 80 and 443
/// of all addresses. Service ports are on those three addresses, those of the internal group on a public
/// address never. Where some node is public, only public ones have listeners of the external group, and its
/// name means them.
wire::EdgeSettings edge_settings(const EdgeSetup& setup, const EdgePlace& place,
                                 const services::AppsModel& model);

}  // namespace smackd::cmd
