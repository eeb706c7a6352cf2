#include "storage/state/agent_rows.h"

#include <algorithm>

#include "core/wire/serialize.h"

namespace smackd::storage::state {
namespace {

template <class Put>
void add(RowsForAgents& into, std::string_view kind, std::string_view key, const Row<Put>& row) {
    const core::Bytes bytes = wire::serialize(row.put);
    for (core::RowForAgents& seen : core::for_agents({kind, key, bytes, false, row.version}))
        into.rows.push_back(std::move(seen));
}

/// Apps and tasks, with the definitions that tasks need behind them.
core::Result<void> add_apps(RowsForAgents& into, View& view) {
    TRY_ASSIGN(const auto apps, view.apps());
    TRY_ASSIGN(const auto tasks, view.tasks());
    std::map<std::string, const wire::Task*> needed;
    for (const auto& task : tasks) {
        add(into, "task", task.put.id(), task);
        needed.emplace(core::definition_key(task.put), &task.put);
    }
    for (const auto& app : apps) {
        add(into, "app", app.put.id(), app);
        needed.erase(core::definition_key(app.put));
    }
    for (const auto& [key, task] : needed) {
        TRY_ASSIGN(auto definition, definition_for_agents(view, *task));
        if (definition) into.rows.push_back(std::move(*definition));
    }
    return {};
}

}  // namespace

core::Result<std::optional<core::RowForAgents>> definition_for_agents(View& view, const wire::Task& task) {
    TRY_ASSIGN(const auto app, view.app(task.app_id()));
    if (app && app->put.config_version_ms() == task.config_version_ms())
        return core::definition_for_agents(app->put, app->version);
    // The version that began the configuration has its number.
    TRY_ASSIGN(const auto before, view.app_version(task.app_id(), task.config_version_ms()));
    if (!before || before->config_version_ms() != task.config_version_ms())
        return std::optional<core::RowForAgents>();
    return core::definition_for_agents(*before, 0);
}

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
    TRY_ASSIGN(const auto capacities, view.capacities());
    for (const auto& row : capacities) add(read, "capacity", std::to_string(row.put.node_id()), row);
    TRY_ASSIGN(const auto settings, view.settings());
    for (const auto& setting : settings) add(read, "setting", setting.put.name(), setting);
    TRY(add_apps(read, view));
    return read;
}

}  // namespace smackd::storage::state
