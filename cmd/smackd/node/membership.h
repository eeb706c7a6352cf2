// Which servers take part in Raft, and as what: the leader's decisions from the registry. Pure.
//
// One change at a time; each is proposed and waited for before the next is decided. A server that joins is
// first a standby (it gets the log and has no vote) and becomes a voter while there are fewer voters than the
// number of servers allows: 1 of one or two, 3 of three or four, 5 of five and more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "storage/replica.h"

namespace smackd::cmd {

/// A server as the state has it.
struct AllowedServer {
    core::NodeId id;
    std::string address;
    uint64_t epoch = 0;  ///< of the state when it joined; 0: made by a bootstrap
};

struct MembershipView {
    core::NodeId self;
    uint64_t epoch = 0;                  ///< of the state
    std::vector<storage::Server> raft;   ///< the configuration
    std::vector<AllowedServer> allowed;  ///< let in by the registry
};

struct MembershipChange {
    enum class Kind : uint8_t { kAdd, kPromote, kRemove, kHandOver };
    Kind kind = Kind::kAdd;
    core::NodeId node;
    std::string address;  ///< for kAdd

    bool operator==(const MembershipChange&) const = default;
};

/// How many of `servers` should vote.
size_t voters_wanted(size_t servers);
/// The next change, or none. Asked on a leader whose state is its own term's.
std::optional<MembershipChange> decide_membership(const MembershipView& view);
std::string_view membership_change_name(MembershipChange::Kind kind);

}  // namespace smackd::cmd
