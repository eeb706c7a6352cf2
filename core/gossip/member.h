// One member of the cluster as this node believes it to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/ids.h"

namespace smackd::core::gossip {

/// The numbers are on the wire (GossipMemberState.state).
enum class MemberState : uint8_t { kAlive = 0, kSuspect = 1, kDead = 2, kLeft = 3 };

std::string_view member_state_name(MemberState state);

struct Member {
    NodeId id;
    uint64_t generation = 0;   ///< of its entry in the machine registry; a higher one is another life
    uint64_t incarnation = 0;  ///< raised by the member alone, to refute or to change what follows
    std::string name;
    std::vector<std::string>
        addresses;   ///< "HOST:PORT", best first; none: it lives by its stream to `holder`
    Bytes metadata;  ///< the caller's; at most kMetadataBytesMax
    NodeId holder;   ///< whom its stream is dialled to, 0 with addresses
    MemberState state = MemberState::kAlive;
    Instant since;  ///< of the state

    bool live() const { return state == MemberState::kAlive || state == MemberState::kSuspect; }
};

enum class MemberEventKind : uint8_t {
    kJoined,       ///< new, or back from dead or left
    kSuspected,    ///< does not answer; may still refute
    kAlive,        ///< has refuted a suspicion
    kUnreachable,  ///< suspicion ran out, here or elsewhere: dead until it says otherwise
    kLeft,         ///< said good-bye
    kUpdated,      ///< other metadata, name, addresses or holder
    kRemoved,      ///< no longer in the registry; forgotten
    kConflict,     ///< another process uses this id from another address
};

std::string_view member_event_name(MemberEventKind kind);

struct MemberEvent {
    MemberEventKind kind = MemberEventKind::kJoined;
    Member member;
};

}  // namespace smackd::core::gossip
