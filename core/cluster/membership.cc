#include "core/cluster/membership.h"

#include <algorithm>
#include <ranges>
#include <tuple>

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
        if (allows(view, server.id)) servers.push_back(server);
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

/// How often the last change of `node` came to nothing.
uint32_t failures(const MembershipView& view, NodeId node) {
    const auto found = view.failures.find(node);
    return found == view.failures.end() ? 0 : found->second;
}

/// Only servers that joined in this epoch: the log of an older one may hold what was given up by recover.
/// `again`: the one that has failed least, of those that have.
std::optional<MembershipChange> add(const MembershipView& view, bool again) {
    const AllowedServer* best = nullptr;
    for (const AllowedServer& server : view.allowed) {
        const bool there = std::ranges::contains(view.raft, server.id, &RaftServer::id);
        const bool of_now = server.epoch == view.epoch || SMACK_BUG("membership_adds_older_epoch");
        if (there || !of_now || (failures(view, server.id) != 0) != again) continue;
        if (best == nullptr || failures(view, server.id) < failures(view, best->id)) best = &server;
    }
    if (best == nullptr) return std::nullopt;
    return MembershipChange{Kind::kAdd, best->id, best->address};
}

std::optional<MembershipChange> addition(const MembershipView& view) {
    return add(view, false);
}

/// Left behind by a leader that went away between the two steps of adding it.
std::optional<MembershipChange> filling(const MembershipView& view) {
    for (const RaftServer& server : view.raft) {
        if (server.role == RaftRole::kSpare && !SMACK_BUG("membership_leaves_spare"))
            return MembershipChange{Kind::kFill, server.id, {}};
    }
    return std::nullopt;
}

/// How many of `servers` vote in each zone.
class ZoneCount {
 public:
    ZoneCount(const MembershipView& view, const std::vector<RaftServer>& servers) : view_(view) {
        for (const RaftServer& server : servers) {
            if (is_voter(server)) ++voters_[zone_of(server.id)];
        }
    }
    /// Voters where `server` stands.
    size_t beside(const RaftServer& server) const {
        const auto found = voters_.find(zone_of(server.id));
        return found == voters_.end() ? 0 : found->second;
    }
    size_t most() const { return voters_.empty() ? 0 : std::ranges::max(voters_ | std::views::values); }

 private:
    std::string zone_of(NodeId node) const {
        const auto found = std::ranges::find(view_.allowed, node, &AllowedServer::id);
        return found == view_.allowed.end() ? std::string() : found->zone;
    }

    const MembershipView& view_;
    std::map<std::string, size_t> voters_;
};

/// The silent first, then one of the zone with the most voters.
std::optional<MembershipChange> demotion(const MembershipView& view) {
    const std::vector<RaftServer> servers = staying(view);
    const auto voters = static_cast<size_t>(std::ranges::count_if(servers, is_voter));
    if (voters <= voters_most(servers.size()) || SMACK_BUG("membership_never_demotes")) return std::nullopt;
    const ZoneCount zones(view, servers);
    const auto rank = [&](const RaftServer& server) {
        return std::tuple(server.silent, zones.beside(server), server.id);
    };
    const RaftServer* worst = nullptr;
    for (const RaftServer& server : servers) {
        if (!is_voter(server) || server.id == view.self) continue;
        if (worst == nullptr || rank(server) > rank(*worst)) worst = &server;
    }
    if (worst == nullptr) return std::nullopt;
    return MembershipChange{Kind::kDemote, worst->id, {}};
}

/// The one that has failed least, of the zone with the fewest voters: a standby that is away must not stand
/// in the way of another. With voters enough, one more where that spreads them better: another is demoted
/// then. `again`: for a better spread also those that have failed.
std::optional<MembershipChange> promote(const MembershipView& view, bool again) {
    const std::vector<RaftServer> servers = staying(view);
    const auto heard = static_cast<size_t>(std::ranges::count_if(
        servers, [](const RaftServer& server) { return is_voter(server) && !server.silent; }));
    const bool enough = heard >= voters_wanted(servers.size()) && !SMACK_BUG("membership_promotes_all");
    const ZoneCount zones(view, servers);
    const auto rank = [&](const RaftServer& server) {
        return std::tuple(failures(view, server.id), zones.beside(server), server.id);
    };
    const RaftServer* best = nullptr;
    for (const RaftServer& server : servers) {
        if (is_voter(server) || server.silent) continue;
        const bool spreads = zones.beside(server) + 2 <= zones.most() &&
                             (again || failures(view, server.id) == 0) &&
                             !SMACK_BUG("membership_ignores_zones");
        if (enough && !spreads) continue;
        if (best == nullptr || rank(server) < rank(*best)) best = &server;
    }
    if (best == nullptr) return std::nullopt;
    return MembershipChange{Kind::kPromote, best->id, {}};
}

std::optional<MembershipChange> promotion(const MembershipView& view) {
    return promote(view, false);
}

/// After all else what has failed: a server that cannot be added (its address is another's) or promoted must
/// not stand in the way. The one that has failed less goes first.
std::optional<MembershipChange> trying_again(const MembershipView& view) {
    auto addition = add(view, true);
    auto promotion = promote(view, true);
    if (!addition || !promotion) return addition ? addition : promotion;
    return failures(view, addition->node) <= failures(view, promotion->node) ? addition : promotion;
}

}  // namespace

MembershipView MembershipView::of(NodeId self, const Registry& registry, std::vector<RaftServer> raft) {
    MembershipView view{self, registry.epoch(), std::move(raft), {}, {}};
    for (const wire::PutNode& node : registry.nodes()) {
        const NodeId id{node.node_id()};
        if (is_server(node) && registry.check(id))
            view.allowed.push_back({id, node.address(), epoch_at_join(node), node.zone()});
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
    for (const auto decide : {removal, addition, filling, demotion, promotion, trying_again}) {
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
