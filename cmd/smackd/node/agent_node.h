// A node without a vote and without the cluster's secrets: one mutual-TLS stream to a server, dialled from
// here, with a heartbeat and the feed of what it may see of the state (state_copy.h); and the renewal of its
// certificate.
#pragma once

#include <memory>

#include "cmd/smackd/node/node.h"

namespace smackd::cmd {

inline constexpr core::Duration kHeartbeat = core::milliseconds(500);
/// A server that does not answer for so long is left for another one.
inline constexpr core::Duration kHeartbeatLimit = core::seconds(3);
/// With a copy of the state an agent does without any server after so long.
inline constexpr core::Duration kAloneAfter = core::seconds(5);
/// How often the life of the certificate is looked at.
inline constexpr core::Duration kRenewalCheck = core::seconds(60);

/// For Node::start, when node.json says "agent".
core::Result<std::unique_ptr<Node>> start_agent(NodeOptions options);

}  // namespace smackd::cmd
