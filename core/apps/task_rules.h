// What a task's state means for decisions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/apps/node.h"
#include "core/random.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// Whether it is a final state (UNREACHABLE is not one).
bool has_ended(wire::TaskState state);
bool has_ended(const wire::Task& task);
/// Running, and every health check says alive (running alone, without health checks).
bool is_healthy(const wire::Task& task, const wire::AppDefinition& app);
/// Healthy, and ready where the app has a readiness check.
bool is_ready(const wire::Task& task, const wire::AppDefinition& app);
/// Its health checks have failed as often as the app allows.
bool is_to_be_killed(const wire::Task& task, const wire::AppDefinition& app);
/// It ended by itself or because it was unhealthy, which makes the next launch wait.
bool has_failed(const wire::Task& task);

/// It has ended and its volumes wait for the next task of its instance.
bool keeps_volumes(const wire::Task& task);

/// Since when its node has not answered, in ms; 0: it answers. `node` is null when there is no such node.
int64_t unreachable_since(const wire::Task& task, const Node* node);

/// Whether only one may run at a time, and another node may be given it: a second one is started when the
/// first one's lease is over. One that is never given away needs none, and runs on with all servers away.
bool needs_lease(const wire::AppDefinition& app);
bool has_persistent_volume(const wire::AppDefinition& app);
std::string_view label_of(const wire::AppDefinition& app, std::string_view key);

/// "group_app.instance-UUID": a new one.
std::string make_instance_id(std::string_view app_id, core::Random& random);
/// The task of an instance, from 1 on: "INSTANCE._app.1".
std::string make_task_id(std::string_view instance_id, uint32_t attempt);
/// The attempt in a task id, 0 when there is none.
uint32_t attempt_of(std::string_view task_id);

}  // namespace smackd::apps
