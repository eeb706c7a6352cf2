// What the decisions of core/cluster read of the state.
#pragma once

#include <string>

#include "core/cluster/join_decision.h"
#include "core/cluster/registry.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {

/// Not known() before InitCluster.
core::Result<core::cluster::Registry> read_registry(View& view);
core::Result<core::cluster::JoinFacts> read_join_facts(View& view, const std::string& machine);

}  // namespace smackd::storage::state
