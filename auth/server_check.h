// What an agent's copy of the registry has against a server: the mirror of what servers ask of an agent.
//
// The copy may be old when the agent comes back after days, and then only what is final may count: node ids
// are never given twice and generations only rise, but who was suspended may have been resumed. So a
// suspension counts unless no other server is to be had. A server that the copy has not heard of yet is known
// by its certificate alone.
#pragma once

#include "auth/registry.h"

namespace smackd::auth {

struct DialledServer {
    core::NodeId id;
    uint64_t generation = 0;  ///< of its certificate
};

/// kDenied with the reason. `lenient`: no other server answered.
core::Result<void> check_server(const Registry& registry, const DialledServer& server, bool lenient);

}  // namespace smackd::auth
