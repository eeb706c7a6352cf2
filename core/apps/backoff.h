// How long an app that fails waits before its next launch: an exponential back-off per app and configuration.
#pragma once

#include <cstdint>
#include <optional>

#include "core/wire/app.pb.h"

namespace smackd::apps {

/// The back-off after one more failed task. `current` is null when there is none yet. Only a task of the
/// app's present configuration makes it wait; every failure is remembered as the last one.
wire::AppBackoff after_failure(const wire::AppDefinition& app, const wire::AppBackoff* current,
                               const wire::Task& task, int64_t now_ms);

/// The back-off without its delay when nothing has failed for long enough (the delay and
/// maxLaunchDelaySeconds after the last failure); nothing while that is not so, or when there is no delay.
std::optional<wire::AppBackoff> without_delay(const wire::AppDefinition& app, const wire::AppBackoff& current,
                                              int64_t now_ms);
/// When without_delay has something to say; 0: never.
int64_t delay_ends_ms(const wire::AppDefinition& app, const wire::AppBackoff& current);

}  // namespace smackd::apps
