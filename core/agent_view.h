// What an agent may see of the replicated state. Pure; every byte of the state that goes to an agent passes
// here, in snapshots and in changes.
//
// A kind that is not listed is seen by no agent: users, groups, rules, tokens, principals, secrets,
// deployments, and whatever comes later and is not thought of. Who changed a row (FeedChange.actor) is never
// told.
//
// Of applications an agent gets
//   task         its own tasks, whole
//   definition   of those, what they run: one row for each app and configuration (definition_key)
//   endpoint     of others' tasks that run, where requests go and whether they may: a wire.Task without the
//   rest route        of all apps, what DNS and ingress need: a wire.AppDefinition without the rest
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/wire/agent.pb.h"

namespace smackd::wire {
class AppDefinition;
class Task;
}  // namespace smackd::wire

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
    NodeId only = {};    ///< this node alone; 0: every agent
    NodeId except = {};  ///< not this one
    /// The key of the definition that a task needs; of a definition its own. Who has such a task is known by
    /// agent_definitions.h.
    std::string definition = {};
};

/// None when no agent may see it. The owner of a row must not change. The removal of a task goes to its node
/// when the change still has the row, else (its key alone) to everybody.
std::vector<RowForAgents> for_agents(const StateRow& row);

/// For the rows of kind "definition" see agent_definitions.h.
inline bool agent_sees(const RowForAgents& row, NodeId agent) {
    return (row.only.value == 0 || row.only == agent) && row.except != agent &&
           (row.definition.empty() || row.row.kind() != "definition");
}

/// "APP CONFIGURATION": what tasks of that configuration run.
std::string definition_key(const wire::Task& task);
std::string definition_key(const wire::AppDefinition& app);
/// A row of kind "definition".
RowForAgents definition_for_agents(const wire::AppDefinition& app, uint64_t version);

/// The state's kinds that agents see something of.
const std::vector<std::string>& agent_kinds();

}  // namespace smackd::core
