#include "core/apps/task_rules.h"

#include <algorithm>
#include <charconv>
#include <format>

namespace smackd::apps {

using wire::AppDefinition;
using wire::Task;

bool has_ended(wire::TaskState state) {
    return state >= wire::TASK_FINISHED && state != wire::TASK_UNREACHABLE;
}

bool has_ended(const Task& task) {
    return has_ended(task.status().state());
}

bool is_healthy(const Task& task, const AppDefinition& app) {
    const wire::TaskStatus& status = task.status();
    if (status.state() != wire::TASK_RUNNING || status.health_size() < app.health_checks_size()) return false;
    const auto results = status.health();
    return std::all_of(results.begin(), results.begin() + app.health_checks_size(),
                       [](const wire::HealthResult& result) { return result.alive(); });
}

bool is_ready(const Task& task, const AppDefinition& app) {
    return is_healthy(task, app) && (app.readiness_checks_size() == 0 || task.status().ready());
}

bool is_to_be_killed(const Task& task, const AppDefinition& app) {
    const wire::TaskStatus& status = task.status();
    if (status.state() != wire::TASK_RUNNING) return false;
    const int checks = std::min(status.health_size(), app.health_checks_size());
    for (int i = 0; i < checks; ++i) {
        const uint32_t failures = status.health(i).consecutive_failures();
        const uint32_t allowed = app.health_checks(i).max_consecutive_failures();
        if (status.health(i).alive() || failures == 0) continue;
        // Mesos' own checks kill at the last allowed failure, the others at the one after it, and never for
        // 0.
        const bool in_task = app.health_checks(i).protocol() >= wire::CHECK_MESOS_HTTP;
        if (in_task ? failures >= allowed : (allowed > 0 && failures > allowed)) return true;
    }
    return false;
}

bool has_failed(const Task& task) {
    if (task.unhealthy()) return true;
    if (task.desired() == Task::KILL) return false;
    switch (task.status().state()) {
        case wire::TASK_FINISHED:
        case wire::TASK_FAILED:
        case wire::TASK_ERROR:
        case wire::TASK_LOST:
        case wire::TASK_DROPPED:
            return true;
        default:
            return false;
    }
}

bool keeps_volumes(const Task& task) {
    const wire::TaskState state = task.status().state();
    const bool node_gone = state == wire::TASK_GONE || state == wire::TASK_GONE_BY_OPERATOR;
    return has_ended(task) && !node_gone && !task.wipe() && task.volumes_size() > 0;
}

int64_t unreachable_since(const Task& task, const Node* node) {
    if (node == nullptr || node->liveness != Liveness::kUnreachable) return 0;
    const int64_t noted_ms = task.status().unreachable_ms();
    return task.status().state() == wire::TASK_UNREACHABLE && noted_ms > 0
               ? noted_ms
               : std::max<int64_t>(node->liveness_since_ms, 1);
}

std::string_view label_of(const AppDefinition& app, std::string_view key) {
    for (const wire::Label& label : app.labels()) {
        if (label.key() == key) return label.value();
    }
    return "";
}

bool has_persistent_volume(const AppDefinition& app) {
    return std::ranges::any_of(app.container().volumes(),
                               [](const wire::Volume& volume) { return volume.has_persistent(); });
}

bool needs_lease(const AppDefinition& app) {
    const bool single = has_persistent_volume(app) || label_of(app, "MARATHON_SINGLE_INSTANCE_APP") == "true";
    return single && !app.unreachable().disabled();
}

std::string make_instance_id(std::string_view app_id, core::Random& random) {
    std::string path(app_id.starts_with('/') ? app_id.substr(1) : app_id);
    std::ranges::replace(path, '/', '_');
    // A UUID of version 4 (RFC 9562 section 5.4).
    const uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
    const uint64_t low = (random.next() & ~(3ULL << 62)) | (2ULL << 62);
    return std::format("{}.instance-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", path, high >> 32,
                       (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff'ffff'ffffULL);
}

std::string make_task_id(std::string_view instance_id, uint32_t attempt) {
    return std::format("{}._app.{}", instance_id, attempt);
}

uint32_t attempt_of(std::string_view task_id) {
    uint32_t attempt = 0;
    const size_t point = task_id.rfind('.');
    if (point == std::string_view::npos) return 0;
    std::from_chars(task_id.data() + point + 1, task_id.data() + task_id.size(), attempt);
    return attempt;
}

}  // namespace smackd::apps
