// Whether the caller of an answer that goes on for long may still be there.
#pragma once

#include <memory>

#include "services/api/context.h"
#include "services/api/sign_in.h"

namespace smackd::services {

/// The state as it is now, when the caller is still a user of it who is not disabled, and their token is
/// neither revoked nor expired; refreshes their groups. kUnauthenticated or kDenied says what has ended.
/// Costs little while nothing has changed.
net::Task<core::Result<std::shared_ptr<const StateView>>> still_welcome(ApiContext& api, Caller& caller);

}  // namespace smackd::services
