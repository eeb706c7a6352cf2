// How far a deployment is: whether an entry of its current step is done.
#pragma once

#include <vector>

#include "core/apps/app_plan.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// `app` is the definition now, null when it was removed; `active` its tasks that have not ended.
bool is_entry_done(const wire::DeploymentStep::Entry& entry, const wire::AppDefinition* app,
                   const std::vector<const wire::Task*>& active, const Round& round);

}  // namespace smackd::apps
