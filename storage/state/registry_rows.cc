#include "storage/state/registry_rows.h"

namespace smackd::storage::state {

core::Result<core::cluster::Registry> read_registry(View& view) {
    TRY_ASSIGN(auto cluster, view.cluster());
    if (!cluster) return core::cluster::Registry();
    core::cluster::Registry::Rows rows;
    rows.cluster_id = cluster->put.cluster_id();
    rows.revision = view.point().revision;
    TRY_ASSIGN(auto machines, view.machines());
    for (auto& row : machines) rows.machines.push_back(std::move(row.put));
    TRY_ASSIGN(auto nodes, view.nodes());
    for (auto& row : nodes) rows.nodes.push_back(std::move(row.put));
    TRY_ASSIGN(rows.last_node_id, view.last_node_id());
    return core::cluster::Registry(std::move(rows));
}

core::Result<core::cluster::JoinFacts> read_join_facts(View& view, const std::string& machine) {
    core::cluster::JoinFacts facts;
    TRY_ASSIGN(auto row, view.machine(machine));
    if (row) facts.machine = std::move(row->put);
    TRY_ASSIGN(auto nodes, view.nodes());
    for (auto& node : nodes) {
        if (node.put.machine() == machine) facts.node = std::move(node.put);
    }
    TRY_ASSIGN(facts.last_node_id, view.last_node_id());
    facts.epoch = view.point().revision.epoch;
    facts.feature_level = view.point().feature_level;
    return facts;
}

}  // namespace smackd::storage::state
