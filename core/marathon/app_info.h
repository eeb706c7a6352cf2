// What Marathon says of running things: tasks, counts, deployments, the launch queue.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/apps/why_not.h"
#include "core/json.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

/// "TASK_RUNNING"; a task that is to be killed and has not ended is TASK_KILLING.
std::string_view task_state_name(const wire::Task& task);
std::string_view task_state_name(wire::TaskState state);
/// Mesos' agent id ("slaveId") of a node: "smackd-S3".
std::string agent_id(uint64_t node_id);

struct TaskCounts {
    uint32_t staged = 0;
    uint32_t running = 0;
    uint32_t healthy = 0;    ///< of those with health checks
    uint32_t unhealthy = 0;  ///< as Marathon counts: a check has failed and has not succeeded since
};
/// Of tasks that have not ended.
TaskCounts count_tasks(const wire::AppDefinition& app, std::span<const wire::Task* const> tasks);

/// A task of /v2/apps/{id}/tasks; with `service_ports` of /v2/tasks. `app` is null for a removed one.
core::Json task_to_json(const wire::Task& task, const wire::AppDefinition* app, bool service_ports = false);
/// A line of /v2/tasks for `Accept: text/plain`, by service port: "app_id TAB servicePort TAB host:port TAB
/// ... NL".
std::string tasks_as_text(const wire::AppDefinition& app, std::span<const wire::Task* const> tasks);

/// What an AppInfo has beside its definition. Counts and deployments are always printed.
struct AppFacts {
    std::vector<const wire::Task*> tasks;  ///< that have not ended
    std::vector<std::string> deployments;  ///< ids of those that hold the app
    const wire::AppBackoff* backoff = nullptr;
};
struct AppEmbed {
    bool tasks = false;
    bool last_task_failure = false;
    bool task_stats = false;
    bool readiness = false;
};
core::Json app_info_to_json(const wire::AppDefinition& app, const AppFacts& facts, const AppEmbed& embed,
                            int64_t now_ms);

/// An element of /v2/deployments.
core::Json deployment_to_json(const wire::Deployment& deployment);
/// [{"actions": [{"action", "app"}]}]: of a deployment's plan, a dry run and the events.
core::Json steps_to_json(const wire::Deployment& deployment);

/// An element of /v2/queue. `why` is the decision's, for an app that has fewer tasks than wanted.
core::Json queue_item_to_json(const wire::AppDefinition& app, const apps::WhyNot& why,
                              const wire::AppBackoff* backoff, int64_t now_ms);

}  // namespace smackd::marathon
