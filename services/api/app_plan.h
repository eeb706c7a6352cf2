// POST /smack/v1/apps/plan: what adding or updating an app would do.
#pragma once

#include "services/api/handlers.h"

namespace smackd::services::handlers {

/// Reads only. Takes `view` on the app besides `launch` for a new one and `change` for one that is there;
/// refuses what the real call refuses, in its words.
Answer plan_app(Call& call);

}  // namespace smackd::services::handlers
