#include "storage/cluster_view.h"

#include <algorithm>

namespace smackd::storage {
namespace {

core::cluster::RaftRole raft_role(ServerRole role) {
    using core::cluster::RaftRole;
    if (role == ServerRole::kVoter) return RaftRole::kVoter;
    return role == ServerRole::kStandby ? RaftRole::kStandby : RaftRole::kSpare;
}

}  // namespace

std::vector<core::cluster::RaftServer> raft_servers(const ReplicaStatus& status) {
    std::vector<core::cluster::RaftServer> servers;
    for (const Server& server : status.servers)
        servers.push_back({server.id, raft_role(server.role), std::ranges::contains(status.silent, server.id),
                           server.address});
    return servers;
}

}  // namespace smackd::storage
