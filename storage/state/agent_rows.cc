#include "storage/state/agent_rows.h"

#include "core/wire/serialize.h"

namespace smackd::storage::state {
namespace {

template <class Put>
void add(RowsForAgents& into, std::string_view kind, std::string_view key, const Row<Put>& row) {
    const core::Bytes bytes = wire::serialize(row.put);
    auto seen = core::for_agents({kind, key, bytes, false, row.version});
    if (seen) into.rows.push_back(std::move(*seen));
}

}  // namespace

core::Result<RowsForAgents> read_rows_for_agents(View& view) {
    RowsForAgents read{view.point().revision, {}};
    TRY_ASSIGN(const auto cluster, view.cluster());
    if (!cluster) return read;
    add(read, "cluster", "", *cluster);
    Row<wire::RaiseFeatureLevel> level;
    level.put.set_level(view.point().feature_level);
    add(read, "level", "", level);
    TRY_ASSIGN(const auto machines, view.machines());
    for (const auto& machine : machines) add(read, "machine", machine.put.name(), machine);
    TRY_ASSIGN(const auto nodes, view.nodes());
    for (const auto& node : nodes) add(read, "node", std::to_string(node.put.node_id()), node);
    TRY_ASSIGN(const auto tasks, view.tasks());
    for (const auto& task : tasks) add(read, "task", task.put.id(), task);
    return read;
}

}  // namespace smackd::storage::state
