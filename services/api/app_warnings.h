// What is accepted with an app and hardly meant: told to who submits it.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "services/api/call.h"
#include "services/apps/model.h"

namespace smackd::services {

/// Sentences about labels without effect, dependencies that are not there, and service ports that another app
/// has as well. Of other apps only those that the caller may view are named.
std::vector<std::string> app_warnings(const Call& call, const AppsModel& model,
                                      const wire::AppDefinition& app);

/// Adds them as the member `warnings`, when there are any.
void add_warnings(core::Json& answer, const std::vector<std::string>& warnings);

}  // namespace smackd::services
