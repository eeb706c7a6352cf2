#include "services/apps/model.h"

#include <charconv>

#include "core/marathon/path_id.h"
#include "core/wire/feed.pb.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services {

using core::Result;

namespace {

template <class Message, class Key>
void fill(AppsModel::Table<Message>& table, storage::state::Rows<Message> rows, Key key) {
    for (auto& row : rows) {
        std::string name = key(row.put);
        table.emplace(std::move(name), std::move(row));
    }
}

template <class Message>
Result<Message> parse(const wire::FeedChange& change) {
    Message message;
    if (!message.ParseFromString(change.row())) {
        return core::fail(core::Errc::kCorrupt, "the feed's {} '{}' cannot be read", change.kind(),
                          change.key());
    }
    return message;
}

template <class Message>
Result<void> put(AppsModel::Table<Message>& table, const wire::FeedChange& change) {
    if (change.removed()) {
        table.erase(change.key());
        return {};
    }
    TRY_ASSIGN(auto message, parse<Message>(change));
    table[change.key()] = {std::move(message), change.revision()};
    return {};
}

uint64_t number(const std::string& key) {
    uint64_t value = 0;
    std::from_chars(key.data(), key.data() + key.size(), value);
    return value;
}

template <class Key, class Message>
Result<void> put(std::map<Key, Message>& table, const Key& key, const wire::FeedChange& change) {
    if (change.removed()) {
        table.erase(key);
        return {};
    }
    TRY_ASSIGN(table[key], parse<Message>(change));
    return {};
}

/// Static DNS names and tenants, settings that are lists; and the share of nodes that holds replacement.
void set_setting(AppsModel& model, const std::string& setting, std::string_view value) {
    if (setting == kHoldSetting) {
        model.hold_percent = apps::kHoldPercent;
        std::from_chars(value.data(), value.data() + value.size(), model.hold_percent);
        return;
    }
    const bool tenant = is_tenant_key(setting);
    if (!tenant && !setting.starts_with(kNameSettingPrefix)) return;
    const std::string name = tenant ? setting : setting.substr(kNameSettingPrefix.size());
    std::vector<std::string> addresses;
    while (!value.empty()) {
        const size_t comma = value.find(',');
        addresses.emplace_back(value.substr(0, comma));
        value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
    }
    if (addresses.empty()) {
        model.names.erase(name);
    } else {
        model.names[name] = std::move(addresses);
    }
}

}  // namespace

Result<AppsModel> AppsModel::load(storage::state::View& view) {
    AppsModel model;
    model.revision = view.point().revision;
    TRY_ASSIGN(auto apps, view.apps());
    fill(model.apps, std::move(apps), [](const auto& app) { return app.id(); });
    TRY_ASSIGN(auto groups, view.app_groups());
    fill(model.groups, std::move(groups), [](const auto& group) { return group.id(); });
    TRY_ASSIGN(auto backoffs, view.app_backoffs());
    fill(model.backoffs, std::move(backoffs), [](const auto& backoff) { return backoff.app_id(); });
    TRY_ASSIGN(auto deployments, view.deployments());
    fill(model.deployments, std::move(deployments), [](const auto& deployment) { return deployment.id(); });
    TRY_ASSIGN(auto tasks, view.tasks());
    fill(model.tasks, std::move(tasks), [](const auto& task) { return task.id(); });
    TRY_ASSIGN(auto capacities, view.capacities());
    for (auto& row : capacities) model.capacities[row.put.node_id()] = std::move(row.put);
    TRY_ASSIGN(auto drains, view.drains());
    for (auto& row : drains) model.drains[row.put.node_id()] = std::move(row.put);
    TRY_ASSIGN(auto nodes, view.nodes());
    for (auto& row : nodes) model.nodes[row.put.node_id()] = std::move(row.put);
    TRY_ASSIGN(auto settings, view.settings());
    for (const auto& row : settings) set_setting(model, row.put.name(), row.put.value());
    TRY_ASSIGN(auto machines, view.machines());
    for (auto& row : machines) {
        std::string name = row.put.name();
        model.machines[std::move(name)] = std::move(row.put);
    }
    return model;
}

// A task's id begins with its app's, slashes as underscores, and a dot.
std::vector<const wire::Task*> AppsModel::living_tasks_of(const std::string& app) const {
    std::vector<const wire::Task*> living;
    const std::string prefix = marathon::id_with_underscores(app) + ".";
    for (auto row = tasks.lower_bound(prefix); row != tasks.end() && row->first.starts_with(prefix); ++row) {
        const wire::Task& task = row->second.put;
        if (task.app_id() == app && !apps::has_ended(task)) living.push_back(&task);
    }
    return living;
}

std::vector<std::string> AppsModel::kinds() {
    return {"app",   "app_group", "backoff", "deployment", "task",  "capacity",
            "drain", "node",      "machine", "setting",    "epoch", "level"};
}

Result<void> AppsModel::apply(const storage::feed::Record& record) {
    wire::FeedChange change;
    if (!change.ParseFromString(record.encoded)) {
        return core::fail(core::Errc::kCorrupt, "the change {} of the feed is damaged",
                          record.revision.to_string());
    }
    revision = record.revision;
    if (record.kind == "app") return put(apps, change);
    if (record.kind == "app_group") return put(groups, change);
    if (record.kind == "backoff") return put(backoffs, change);
    if (record.kind == "deployment") return put(deployments, change);
    if (record.kind == "task") return put(tasks, change);
    if (record.kind == "capacity") return put(capacities, number(record.key), change);
    if (record.kind == "drain") return put(drains, number(record.key), change);
    if (record.kind == "setting") {
        TRY_ASSIGN(const auto setting, parse<wire::PutSetting>(change));
        set_setting(*this, setting.name(), change.removed() ? "" : setting.value());
        return {};
    }
    if (record.kind == "node") return put(nodes, number(record.key), change);
    if (record.kind == "machine") return put(machines, record.key, change);
    return {};
}

apps::Parameters plan_parameters(const AppsModel& model) {
    apps::Parameters parameters;
    parameters.hold_percent = model.hold_percent;
    return parameters;
}

}  // namespace smackd::services
