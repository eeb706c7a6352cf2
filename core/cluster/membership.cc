#include "core/cluster/membership.h"

#include <algorithm>
#include <ranges>

#include "core/planted.h"

namespace smackd::core::cluster {
namespace {

using Kind = MembershipChange::Kind;

bool allows(const MembershipView& view, NodeId node) {
    return std::ranges::contains(view.allowed, node, &AllowedServer::id);
}

bool is_voter(const RaftServer& server) {
    return server.role == RaftRole::kVoter;
}

/// The servers that are to stay. One that is refused can only be the leader itself, which goes when it can
/// hand over.
std::vector<RaftServer> staying(const MembershipView& view) {
    std::vector<RaftServer> servers;
    for (const RaftServer& server : view.raft) {
        if (allows(view, server.id) || SMACK_BUG("membership_counts_refused")) servers.push_back(server);
    }
    return servers;
}

/// A removed leader cannot take itself out: it makes another one lead, which then does.
std::optional<MembershipChange> removal(const MembershipView& view) {
    if (SMACK_BUG("membership_keeps_refused")) return std::nullopt;
    for (const RaftServer& server : view.raft) {
        if (!allows(view, server.id) && server.id != view.self)
            return MembershipChange{Kind::kRemove, server.id, {}};
    }
    if (allows(view, view.self) || std::ranges::count_if(view.raft, is_voter) < 2) return std::nullopt;
    return MembershipChange{Kind::kHandOver, view.self, {}};
}

/// Only servers that joined in this epoch: the log of an older one may hold what was given up by recover.
std::optional<MembershipChange> addition(const MembershipView& view) {
    for (const AllowedServer& server : view.allowed) {
        const bool there = std::ranges::contains(view.raft, server.id, &RaftServer::id);
        const bool of_now = server.epoch == view.epoch || SMACK_BUG("membership_adds_older_epoch");
        if (!there && of_now) return MembershipChange{Kind::kAdd, server.id, server.address};
    }
    return std::nullopt;
}

/// Left behind by a leader that went away between the two steps of adding it.
std::optional<MembershipChange> filling(const MembershipView& view) {
    for (const RaftServer& server : view.raft) {
        if (server.role == RaftRole::kSpare && !SMACK_BUG("membership_leaves_spare"))
            return MembershipChange{Kind::kFill, server.id, {}};
    }
    return std::nullopt;
}

std::optional<MembershipChange> demotion(const MembershipView& view) {
    const std::vector<RaftServer> servers = staying(view);
    const auto voters = static_cast<size_t>(std::ranges::count_if(servers, is_voter));
    if (voters <= voters_most(servers.size()) || SMACK_BUG("membership_never_demotes")) return std::nullopt;
    for (const RaftServer& server : std::views::reverse(servers)) {
        if (is_voter(server) && server.id != view.self) return MembershipChange{Kind::kDemote, server.id, {}};
    }
    return std::nullopt;
}

/// The one that has failed least: a standby that is away must not stand in the way of another.
std::optional<MembershipChange> promotion(const MembershipView& view) {
    const std::vector<RaftServer> servers = staying(view);
    const auto voters = static_cast<size_t>(std::ranges::count_if(servers, is_voter));
    if (voters >= voters_wanted(servers.size()) && !SMACK_BUG("membership_promotes_all")) return std::nullopt;
    const auto failures = [&](const RaftServer& server) {
        const auto found = view.failures.find(server.id);
        return found == view.failures.end() ? 0 : found->second;
    };
    const RaftServer* best = nullptr;
    for (const RaftServer& server : servers) {
        if (is_voter(server)) continue;
        if (best == nullptr || failures(server) < failures(*best)) best = &server;
    }
    if (best == nullptr) return std::nullopt;
    return MembershipChange{Kind::kPromote, best->id, {}};
}

}  // namespace

MembershipView MembershipView::of(NodeId self, const Registry& registry, std::vector<RaftServer> raft) {
    MembershipView view{self, registry.epoch(), std::move(raft), {}, {}};
    for (const wire::PutNode& node : registry.nodes()) {
        const NodeId id{node.node_id()};
        if (is_server(node) && registry.check(id))
            view.allowed.push_back({id, node.address(), epoch_at_join(node)});
    }
    return view;
}

size_t voters_wanted(size_t servers) {
    if (servers >= 5) return 5;
    return servers >= 3 ? 3 : 1;
}

size_t voters_most(size_t servers) {
    return servers == 2 ? 2 : voters_wanted(servers);
}

std::optional<MembershipChange> decide_membership(const MembershipView& view) {
    for (const auto decide : {removal, addition, filling, demotion, promotion}) {
        if (auto change = decide(view)) return change;
    }
    return std::nullopt;
}

std::string_view membership_change_name(Kind kind) {
    switch (kind) {
        case Kind::kAdd:
            return "add standby";
        case Kind::kFill:
            return "make standby";
        case Kind::kPromote:
            return "promote to voter";
        case Kind::kDemote:
            return "demote to standby";
        case Kind::kRemove:
            return "remove";
        case Kind::kHandOver:
            return "hand over leadership";
    }
    return "unknown";
}

}  // namespace smackd::core::cluster
