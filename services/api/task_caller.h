// A task as the caller of a request, and the token that says who it is.
//
// A task's identity lives as long as the task: nothing is kept of it anywhere, at each use the state is asked
// whether it runs, of which app it is and whose that is now.
#pragma once

#include "auth/token.h"
#include "services/api/call.h"

namespace smackd::services {

/// Of a token for a task, or of the task whose socket the request came through. kUnauthenticated: it does not
/// run any more; kDenied: not on the node that speaks for it.
net::Task<SignInResult<Caller>> admit_task(Call& call, Proof proof);

/// A token for a task that runs on `node`, which asks for it; errors as above.
net::Task<core::Result<auth::IssuedToken>> issue_task_token(ApiContext& api, core::NodeId node,
                                                            std::string task);

}  // namespace smackd::services
