// What gossip on this server says, for answers of the API.
#pragma once

#include <vector>

#include "core/apps/outage.h"
#include "services/api/call.h"
#include "services/apps/model.h"

namespace smackd::services {

/// Empty until gossip runs.
std::vector<LiveMember> live_members(const Call& call);
/// Whether so many nodes are away at once that nothing is replaced.
apps::Outage outage_now(const Call& call, const AppsModel& model);

}  // namespace smackd::services
