// What an agent may see of the replicated state. Pure; every byte of the state that goes to an agent passes
// here, in snapshots and in changes.
//
// A kind that is not listed is seen by no agent: users, groups, rules, settings, tokens, principals, secrets,
// and whatever comes later and is not thought of. Who changed a row (FeedChange.actor) is never told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/wire/agent.pb.h"

namespace smackd::core {

/// A row of the state, or that it was removed.
struct StateRow {
    std::string_view kind;
    std::string_view key;
    BytesView row;  ///< the Put message; of a removed row, as it was, or empty
    bool removed = false;
    uint64_t version = 0;
};

/// A row in the form that agents get, and who they are.
struct RowForAgents {
    wire::AgentRow row;
    NodeId only;  ///< this node alone; 0: every agent
};

/// Nothing when no agent may see it. The owner of a row must not change; the removal of a row that belongs to
/// one node goes to that node when the change still has the row, else (its key alone) to everybody.
std::optional<RowForAgents> for_agents(const StateRow& row);

inline bool agent_sees(const RowForAgents& row, NodeId agent) {
    return row.only.value == 0 || row.only == agent;
}

/// The kinds that agents see something of.
const std::vector<std::string>& agent_kinds();

}  // namespace smackd::core
