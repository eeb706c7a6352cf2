// Which nodes reach each other's tasks by the tasks' own addresses, and how: pure, from the rows of the
// state.
//
// Each node has a /24 of its own for its tasks. It chooses one that is free on its machine and in the cluster
// and tells it with its capacity; what makes it the node's is the state, which every node reads alike.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/apps/task_network.h"
#include "core/ids.h"
#include "core/ipv4.h"
#include "core/wire/app.pb.h"
#include "core/wire/command.pb.h"
#include "core/wire/node_network.pb.h"
#include "core/wire/task.pb.h"

namespace smackd::apps {

/// Rows of the state, by id and by name.
struct OverlayRows {
    const std::map<uint64_t, wire::PutNode>& nodes;
    const std::map<uint64_t, wire::NodeCapacity>& capacities;
    const std::map<std::string, wire::PutMachine>& machines;
};

/// What a node has told of its network with its capacity, and the way back.
wire::NodeNetwork network_of(const wire::NodeCapacity& capacity);
void set_network(wire::NodeCapacity& capacity, const wire::NodeNetwork& network);

/// Whose subnet is whose. Of two nodes that have told overlapping ones the lower id has it, as it has been
/// here longer; the other one chooses again. A node that is forgotten or suspended has none.
std::map<uint64_t, core::Ipv4Prefix> task_subnets(const OverlayRows& rows);

struct Overlay {
    std::map<uint64_t, wire::NetworkPeer> peers;  ///< nodes whose tasks are reached, by id
    std::vector<std::string> problems;            ///< why others' are not, for people
    bool subnet_lost = false;                     ///< another node has `self`'s: it must choose again
};
/// As `self` sees it by what it has told of itself; without a port of its own nobody is a peer.
Overlay overlay_of(const OverlayRows& rows, core::NodeId self);

/// 24 bits, by which packets of this cluster are known among others'.
uint32_t overlay_vni(const std::string& cluster_id);

}  // namespace smackd::apps
