#include "cmd/smackd/node/membership.h"

#include <algorithm>

namespace smackd::cmd {
namespace {

using Kind = MembershipChange::Kind;

bool allows(const MembershipView& view, core::NodeId node) {
    return std::ranges::contains(view.allowed, node, &AllowedServer::id);
}

size_t voters(const MembershipView& view) {
    return static_cast<size_t>(
        std::ranges::count(view.raft, storage::ServerRole::kVoter, &storage::Server::role));
}

/// A removed leader cannot take itself out: it makes another one lead, which then does.
std::optional<MembershipChange> removal(const MembershipView& view) {
    for (const storage::Server& server : view.raft) {
        if (allows(view, server.id)) continue;
        if (server.id != view.self) return MembershipChange{Kind::kRemove, server.id, {}};
        if (voters(view) > 1) return MembershipChange{Kind::kHandOver, server.id, {}};
    }
    return std::nullopt;
}

/// Only servers that joined in this epoch: the log of an older one may hold what was given up by recover.
std::optional<MembershipChange> addition(const MembershipView& view) {
    for (const AllowedServer& server : view.allowed) {
        const bool there = std::ranges::contains(view.raft, server.id, &storage::Server::id);
        if (!there && server.epoch == view.epoch)
            return MembershipChange{Kind::kAdd, server.id, server.address};
    }
    return std::nullopt;
}

std::optional<MembershipChange> promotion(const MembershipView& view) {
    if (voters(view) >= voters_wanted(view.raft.size())) return std::nullopt;
    for (const storage::Server& server : view.raft) {
        if (server.role != storage::ServerRole::kVoter)
            return MembershipChange{Kind::kPromote, server.id, {}};
    }
    return std::nullopt;
}

}  // namespace

size_t voters_wanted(size_t servers) {
    if (servers >= 5) return 5;
    return servers >= 3 ? 3 : 1;
}

std::optional<MembershipChange> decide_membership(const MembershipView& view) {
    if (auto change = removal(view)) return change;
    if (auto change = addition(view)) return change;
    return promotion(view);
}

std::string_view membership_change_name(Kind kind) {
    switch (kind) {
        case Kind::kAdd:
            return "add standby";
        case Kind::kPromote:
            return "promote to voter";
        case Kind::kRemove:
            return "remove";
        case Kind::kHandOver:
            return "hand over leadership";
    }
    return "unknown";
}

}  // namespace smackd::cmd
