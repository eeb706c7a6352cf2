// Which servers take part in Raft, and as what: the leader's decisions from the registry. Pure.
//
// One change at a time; each is proposed and waited for before the next is decided. A server that joins is
// first a standby (it gets the log and has no vote) and becomes a voter while there are fewer voters than the
// number of servers allows: 1 of one or two, 3 of three or four, 5 of five and more. When servers go, voters
// above that number become standbys again, but two voters stay two: what they acknowledge is on two disks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster/registry.h"
#include "core/ids.h"

namespace smackd::core::cluster {

enum class RaftRole : uint8_t {
    kVoter,
    kStandby,  ///< gets the log, has no vote
    kSpare,    ///< gets nothing; a server is that for a moment while it is added
};

/// A server of the Raft configuration.
struct RaftServer {
    NodeId id;
    RaftRole role = RaftRole::kSpare;
    bool silent = false;       ///< the leader has not heard of it for long
    std::string address = {};  ///< HOST:PORT; may be empty

    bool operator==(const RaftServer&) const = default;
};

/// A server as the state has it.
struct AllowedServer {
    NodeId id;
    std::string address;
    uint64_t epoch = 0;  ///< of the state when it joined
    std::string zone;    ///< where its machine stands; empty is a zone like any other
};

struct MembershipView {
    NodeId self;
    uint64_t epoch = 0;                   ///< of the state
    std::vector<RaftServer> raft;         ///< the configuration
    std::vector<AllowedServer> allowed;   ///< let in by the registry
    std::map<NodeId, uint32_t> failures;  ///< additions and promotions that came to nothing since

    static MembershipView of(NodeId self, const Registry& registry, std::vector<RaftServer> raft);
};

struct MembershipChange {
    enum class Kind : uint8_t { kAdd, kFill, kPromote, kDemote, kRemove, kHandOver };
    Kind kind = Kind::kAdd;
    NodeId node;
    std::string address;  ///< for kAdd

    bool operator==(const MembershipChange&) const = default;
};

/// How many of `servers` should vote.
size_t voters_wanted(size_t servers);
/// Voters beyond which one is demoted.
size_t voters_most(size_t servers);
/// The next change, or none. Asked on a leader whose state is its own term's. A voter that is silent is
/// replaced by a standby that is not, and voters are spread over zones as evenly as the servers allow; what
/// is replaced stays as a standby.
std::optional<MembershipChange> decide_membership(const MembershipView& view);
std::string_view membership_change_name(MembershipChange::Kind kind);

}  // namespace smackd::core::cluster
