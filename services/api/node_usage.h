// GET /smack/v1/nodes/{id}/usage: how busy a node has been in the last minutes.
#pragma once

#include "services/api/handlers.h"

namespace smackd::services::handlers {

/// Processors and memory only of the node that answers, which measures itself; tasks of every node, as the
/// state knows them. Takes `view` on everything, as the list of nodes.
Answer node_usage(Call& call);

}  // namespace smackd::services::handlers
