// The model of applications on an agent, from the rows of its copy of the state (core/agent_view.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/wire/agent.pb.h"
#include "services/apps/model.h"

namespace smackd::services {

/// What tasks run, by core::definition_key.
using Definitions = std::map<std::string, wire::AppDefinition>;

struct AgentModel {
    /// Others' endpoints are tasks here without what is none of an agent's business, routes are apps.
    AppsModel model;
    Definitions definitions;  ///< of its own tasks

    /// kCorrupt for a row that cannot be read; other kinds are passed over.
    core::Result<void> apply(const wire::AgentRow& row);
    /// The kinds of rows that apply() looks at.
    static std::vector<std::string> kinds();
};

}  // namespace smackd::services
