// All rows of the state that agents may see, for the snapshot that an agent begins with.
#pragma once

#include <vector>

#include "core/agent_view.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {

struct RowsForAgents {
    core::Revision revision;  ///< of the state they were read from
    std::vector<core::RowForAgents> rows;
};

/// Empty before InitCluster.
core::Result<RowsForAgents> read_rows_for_agents(View& view);

}  // namespace smackd::storage::state
