// What is left on the host of tasks that are gone: found by the name that everything of this agent carries,
// and removed.
#pragma once

#include <string>
#include <vector>

#include "core/wire/task.pb.h"
#include "services/agent/cgroups.h"

namespace smackd::agent {

/// The plans of tasks whose shims live.
std::vector<wire::ShimPlan> living_tasks(const std::string& agent);

/// True when its last event is written: its shim, if it still lives, is tidying up.
bool has_ended(const wire::ShimPlan& plan);

/// Ends processes in groups of no living task, removes their groups and their writable files. One line for
/// each thing that was removed.
std::vector<std::string> sweep_orphans(const std::string& agent, const CgroupTree& cgroups,
                                       const std::vector<wire::ShimPlan>& living);

}  // namespace smackd::agent
