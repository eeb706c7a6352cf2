#include "core/apps/backoff.h"

#include <algorithm>
#include <cmath>

namespace smackd::apps {

using wire::AppBackoff;
using wire::AppDefinition;

namespace {

void remember(const wire::Task& task, wire::TaskFailure& failure) {
    failure.set_task_id(task.id());
    failure.set_machine(task.machine());
    failure.set_node_id(task.node_id());
    failure.set_state(task.status().state());
    failure.set_message(task.unhealthy() ? task.kill_reason() : task.status().message());
    failure.set_time_ms(task.status().ended_ms());
    failure.set_app_version_ms(task.app_version_ms());
}

}  // namespace

AppBackoff after_failure(const AppDefinition& app, const AppBackoff* current, const wire::Task& task,
                         int64_t now_ms) {
    AppBackoff backoff;
    if (current != nullptr) backoff = *current;
    backoff.set_app_id(app.id());
    remember(task, *backoff.mutable_last_failure());
    if (task.config_version_ms() != app.config_version_ms()) return backoff;
    const bool first = backoff.config_version_ms() != app.config_version_ms() || backoff.failures() == 0;
    const double longer = static_cast<double>(backoff.delay_ms()) * std::max(app.backoff_factor(), 1.0);
    const double delay = first ? static_cast<double>(app.backoff_ms()) : longer;
    backoff.set_config_version_ms(app.config_version_ms());
    backoff.set_failures(first ? 1 : backoff.failures() + 1);
    backoff.set_delay_ms(std::llround(std::min(delay, static_cast<double>(app.backoff_max_ms()))));
    backoff.set_until_ms(now_ms + backoff.delay_ms());
    return backoff;
}

int64_t delay_ends_ms(const AppDefinition& app, const AppBackoff& current) {
    return current.failures() == 0 ? 0 : current.until_ms() + app.backoff_max_ms();
}

std::optional<AppBackoff> without_delay(const AppDefinition& app, const AppBackoff& current, int64_t now_ms) {
    const int64_t end = delay_ends_ms(app, current);
    if (end == 0 || now_ms < end) return std::nullopt;
    AppBackoff backoff = current;
    backoff.clear_failures();
    backoff.clear_delay_ms();
    backoff.clear_until_ms();
    return backoff;
}

}  // namespace smackd::apps
