#include "core/apps/progress.h"

namespace smackd::apps {

using wire::AppDefinition;
using wire::Task;

namespace {

bool is_current(const Task& task, const AppDefinition& app) {
    return task.config_version_ms() == app.config_version_ms();
}

/// As many are ready as are wanted, and nothing else runs any more.
bool is_settled(const AppDefinition& app, const std::vector<const Task*>& active, bool current_only,
                const Round& round) {
    uint32_t ready = 0;
    uint32_t running = 0;
    for (const Task* task : active) {
        if (is_lost(*task, app, round)) continue;
        ++running;
        if (task->desired() == Task::RUN && is_ready(*task, app) && (!current_only || is_current(*task, app)))
            ++ready;
    }
    return ready >= app.instances() && running <= app.instances();
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
            return is_settled(*app, active, false, round);
        case wire::ACTION_RESTART:
            return is_settled(*app, active, true, round);
        default:
            return true;
    }
}

}  // namespace smackd::apps
