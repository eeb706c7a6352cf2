// The Raft configuration of a replica as core/cluster decides about it.
#pragma once

#include <vector>

#include "core/cluster/membership.h"
#include "storage/replica.h"

namespace smackd::storage {

std::vector<core::cluster::RaftServer> raft_servers(const ReplicaStatus& status);

}  // namespace smackd::storage
