// The other servers: whether they are reached, whether they are of this cluster, and whether they let this
// node in.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/doctor/finding.h"
#include "core/units.h"

namespace smackd::cmd {

inline constexpr core::Duration kPeerLimit = core::seconds(3);
inline constexpr size_t kPeersAsked = 8;

struct PeerChecks {
    DataDirectory directory;
    NodeIdentity identity;
    std::vector<std::string> servers;  ///< HOST:PORT of their cluster addresses
    /// Says hello as this node, which a running daemon does by itself: two of one node would be in each
    /// other's way.
    bool greet = false;
};
Findings examine_peers(const PeerChecks& checks);

/// A member to join by, from a machine that is no node yet: "NAME" or "NAME:PORT".
Finding examine_seed(const std::string& seed);

}  // namespace smackd::cmd
