// What the edge (DNS and ingress) of one node is told: made from the model, sent as a table and then as
// differences. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/wire/edge.pb.h"
#include "services/apps/model.h"

namespace smackd::services {

/// What the node itself adds.
struct EdgeFacts {
    core::NodeId self;
    wire::EdgeSettings
        settings;         ///< listeners, groups, forwarders; hosts and leader are filled in from the model
    core::NodeId leader;  ///< 0: none known
    /// Of tasks on this node, newer than in the model: what has died here takes no requests, whether or not
    /// the state could be told.
    std::map<std::string, wire::TaskStatus> statuses = {};
    std::set<uint64_t> connected = {};  ///< nodes whose tasks are reached by the tasks' own addresses
};

/// Of the edge's tasks: which node they run on.
std::string edge_agent_name(core::NodeId node);

wire::EdgeTable edge_table(const AppsModel& model, const EdgeFacts& facts);

/// What turns `before` into `after`; nothing has changed when `changed` stays false. Both by edge_table.
wire::EdgeDelta edge_delta(const wire::EdgeTable& before, const wire::EdgeTable& after, bool& changed);

}  // namespace smackd::services
