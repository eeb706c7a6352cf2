// GET /smack/v1/nodes/{id}/usage: how busy a node has been in the last minutes.
#pragma once

#include "services/api/handlers.h"

namespace smackd::services::handlers {

/// Processors and memory as the node has measured them itself; of one that is not connected its tasks alone,
/// as the state knows them. Takes `view` on everything, as the list of nodes.
Answer node_usage(Call& call);

}  // namespace smackd::services::handlers
