#include "core/apps/kill_order.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

#include "core/apps/constraints.h"
#include "core/apps/task_rules.h"

namespace smackd::apps {

using wire::Task;

namespace {

int state_rank(const Task& task) {
    switch (task.status().state()) {
        case wire::TASK_UNREACHABLE:
            return 0;
        case wire::TASK_STATE_UNKNOWN:
        case wire::TASK_STAGING:
            return 1;
        case wire::TASK_STARTING:
            return 2;
        default:
            return 3;
    }
}

int64_t active_since(const Task& task) {
    return task.status().started_ms() > 0 ? task.status().started_ms() : task.staged_ms();
}

}  // namespace

KillOrder::KillOrder(const std::vector<const Task*>& tasks, const wire::AppDefinition& app,
                     const Placement& placement) {
    std::map<std::pair<int, std::string>, size_t> index;
    for (const Task* task : tasks) {
        Entry entry{task, task->config_version_ms() == app.config_version_ms(), {}};
        const Node* node = placement.find(core::NodeId{task->node_id()});
        for (int i = 0; node != nullptr && i < app.constraints_size(); ++i) {
            if (app.constraints(i).op() != wire::Constraint::GROUP_BY) continue;
            grouped_ = true;
            const auto value = field_value(*node, app.constraints(i).field());
            if (!value) continue;
            const auto [group, fresh] = index.emplace(std::pair(i, *value), sizes_.size());
            if (fresh) sizes_.push_back(0);
            ++sizes_[group->second];
            entry.groups.push_back(group->second);
        }
        entries_.push_back(std::move(entry));
    }
    using Rank = std::tuple<bool, int, bool, int64_t, std::string_view>;
    const auto rank = [&](const Entry& entry) {
        const int64_t since = active_since(*entry.task);
        return Rank{entry.current, state_rank(*entry.task), is_ready(*entry.task, app),
                    app.kill_selection() == wire::OLDEST_FIRST ? since : -since, entry.task->id()};
    };
    std::ranges::sort(entries_, [&](const Entry& a, const Entry& b) { return rank(b) < rank(a); });
}

uint64_t KillOrder::load(const Entry& entry) const {
    uint64_t load = 0;
    for (const size_t group : entry.groups) load += sizes_[group];
    return load;
}

const Task* KillOrder::next() {
    if (entries_.empty()) return nullptr;
    auto chosen = entries_.end() - 1;
    for (auto entry = entries_.end() - 1; grouped_ && entry != entries_.begin();) {
        --entry;
        if (entry->current != chosen->current) break;
        if (load(*entry) > load(*chosen)) chosen = entry;
    }
    const Task* task = chosen->task;
    for (const size_t group : chosen->groups) --sizes_[group];
    entries_.erase(chosen);
    return task;
}

}  // namespace smackd::apps
