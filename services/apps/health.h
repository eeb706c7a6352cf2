// Health checks of a task, done on its node: each protocol of Marathon, one round after the other.
#pragma once

#include <optional>
#include <string>

#include "core/callback.h"
#include "core/clock.h"
#include "core/wire/app.pb.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/task.h"
#include "net/tls/tls.h"
#include "services/agent/task_runner.h"

namespace smackd::services {

/// Where a check goes: HOST:PORT by the task's network; for MESOS_* and COMMAND the same task.
struct CheckTarget {
    std::string host;
    uint16_t port = 0;
};
/// kInvalid when the check names a port that the task does not have.
core::Result<CheckTarget> check_target(const wire::AppDefinition& app, const wire::Task& task,
                                       const wire::HealthCheck& check);

/// The next result after one round. `failure` is why it failed, empty: it did not. Failures within the grace
/// period and before the first success do not count.
wire::HealthResult next_result(const wire::HealthResult& before, const wire::HealthCheck& check,
                               const std::string& failure, int64_t started_ms, int64_t now_ms);
/// Whether the state must hear of it: dead or alive has changed, or the limit of failures is reached.
bool worth_telling(const wire::HealthResult& before, const wire::HealthResult& after,
                   const wire::HealthCheck& check);

/// One round; nullopt when it succeeded, else why not. Ends within the check's timeout.
net::Task<std::optional<std::string>> check_once(net::Loop& loop, net::TlsEngine* tls,
                                                 agent::TaskRunner& runner, const wire::Task& task,
                                                 const wire::HealthCheck& check, CheckTarget target);

/// One round of a readiness check: whether the task answers with one of the statuses that say so.
net::Task<bool> is_ready_now(net::Loop& loop, net::TlsEngine* tls, const wire::AppDefinition& app,
                             wire::Task task, wire::ReadinessCheck check);

/// Runs `command` in the task by /bin/sh; kUnavailable when it ends with another code than 0. The caller
/// keeps the time.
net::Task<core::Result<void>> run_command(agent::TaskRunner& runner, std::string task, std::string command);

}  // namespace smackd::services
