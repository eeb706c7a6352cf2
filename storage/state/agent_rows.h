// All rows of the state that agents may see, for the snapshot that an agent begins with.
#pragma once

#include <optional>
#include <vector>

#include "core/agent_view.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {

struct RowsForAgents {
    core::Revision revision;  ///< of the state they were read from
    std::vector<core::RowForAgents> rows;
};

/// Empty before InitCluster. Definitions come after all tasks.
core::Result<RowsForAgents> read_rows_for_agents(View& view);

/// What a task runs; nothing when the state has it no more.
core::Result<std::optional<core::RowForAgents>> definition_for_agents(View& view, const wire::Task& task);

}  // namespace smackd::storage::state
