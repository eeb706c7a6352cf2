#include "core/apps/progress.h"

#include <algorithm>

namespace smackd::apps {

using wire::AppDefinition;
using wire::Task;

namespace {

bool is_current(const Task& task, const AppDefinition& app) {
    return task.config_version_ms() == app.config_version_ms();
}

/// As many are ready as are wanted, and nothing else runs any more.
bool is_settled(const AppDefinition& app, const std::vector<const Task*>& active, const Round& round) {
    uint32_t ready = 0;
    uint32_t running = 0;
    for (const Task* task : active) {
        if (is_lost(*task, app, round)) continue;
        ++running;
        if (task->desired() == Task::RUN && is_ready(*task, app) && is_current(*task, app)) ++ready;
    }
    return ready >= app.instances() && running <= app.instances();
}

/// What tasks see has not changed, so there is nothing to wait for, unless an earlier deployment has left old
/// tasks.
bool is_free_of_old(const AppDefinition& app, const std::vector<const Task*>& active, const Round& round) {
    return std::ranges::all_of(
        active, [&](const Task* task) { return is_current(*task, app) || is_lost(*task, app, round); });
}

}  // namespace

bool is_entry_done(const wire::DeploymentStep::Entry& entry, const AppDefinition* app,
                   const std::vector<const Task*>& active, const Round& round) {
    if (app == nullptr) {
        for (const Task* task : active) {
            const Node* node = round.placement.find(core::NodeId{task->node_id()});
            if (unreachable_since(*task, node) == 0) return false;
        }
        return true;
    }
    switch (entry.action()) {
        case wire::ACTION_SCALE:
        case wire::ACTION_RESTART:
            return is_settled(*app, active, round);
        case wire::ACTION_DESCRIBE:
            return is_free_of_old(*app, active, round);
        default:
            return true;
    }
}

}  // namespace smackd::apps
