#include "core/cluster/access.h"

#include <algorithm>

#include "core/planted.h"

namespace smackd::core::cluster {
namespace {

std::unexpected<Error> no_server(const RaftStanding& raft, NodeId node) {
    if (raft.recoveries > 0) {
        return fail(Errc::kDenied,
                    "node {} is no server of this cluster since it was recovered (older epoch): empty its "
                    "data directory and join it anew",
                    node.value);
    }
    return fail(Errc::kDenied, "node {} is no server of this cluster", node.value);
}

}  // namespace

bool Access::is_voter(NodeId node) const {
    return std::ranges::any_of(raft_.servers, [node](const RaftServer& server) {
        return server.id == node && server.role == RaftRole::kVoter;
    });
}

bool Access::in_configuration(NodeId node) const {
    return std::ranges::contains(raft_.servers, node, &RaftServer::id);
}

/// Could those voters whom the registry lets in decide anything without the others?
bool Access::needs_refused_voters() const {
    size_t voters = 0;
    size_t let_in = 0;
    for (const RaftServer& server : raft_.servers) {
        if (server.role != RaftRole::kVoter) continue;
        ++voters;
        if (registry_->check(server.id) && !outdated_.contains(server.id)) ++let_in;
    }
    return voters != 0 && let_in < voters / 2 + 1 && !SMACK_BUG("access_cuts_off_majority");
}

Result<AdmittedNode> Access::check(const CertifiedNode& node) {
    if (registry_) note_outdated(node);
    auto admitted = judge(node);
    if (admitted) heard_.insert(node.id);
    return admitted;
}

void Access::note_address(NodeId node, std::string address) {
    const auto newcomer = newcomers_.find(node);
    if (newcomer != newcomers_.end()) newcomer->second.address = std::move(address);
}

void Access::note_outdated(const CertifiedNode& node) {
    if (registry_->admit(node)) {
        outdated_.erase(node.id);
    } else if (registry_->is_outdated(node) && is_voter(node.id) && !heard_.contains(node.id)) {
        outdated_.insert(node.id);
    } else {
        return;
    }
    needs_refused_ = needs_refused_voters();
}

Result<AdmittedNode> Access::judge(const CertifiedNode& node) {
    if (!registry_) {
        if (!raft_.servers.empty() && !in_configuration(node.id)) return no_server(raft_, node.id);
        return AdmittedNode{node.id, {}, {}, true};
    }
    auto admitted = registry_->admit(node);
    if (!admitted) {
        if (needs_refused_ && is_voter(node.id)) return AdmittedNode{node.id, {}, {}, true};
        // It has joined since the last that this server has heard, and may be who can tell.
        const bool newcomer =
            node.server && registry_->is_ahead(node) && !SMACK_BUG("access_refuses_newcomers");
        if (!newcomer) return admitted;
        newcomers_[node.id].node = node;
        return AdmittedNode{node.id, {}, {}, true};
    }
    // What joined in an older epoch holds what was given up by recover.
    const bool serves = raft_.servers.empty() || in_configuration(node.id) || registry_->is_of_epoch(node.id);
    if (admitted->server && !serves) return no_server(raft_, node.id);
    return admitted;
}

bool Access::lets_in(NodeId node) const {
    if (!registry_) return in_configuration(node);
    if (registry_->check(node)) return true;
    const auto newcomer = newcomers_.find(node);
    return (needs_refused_ && is_voter(node)) ||
           (newcomer != newcomers_.end() && registry_->is_ahead(newcomer->second.node));
}

/// Who may have connections to here, and whom this server may have dialled.
std::set<NodeId> Access::connected() const {
    std::set<NodeId> all = heard_;
    for (const RaftServer& server : raft_.servers) {
        if (lets_in(server.id)) all.insert(server.id);
    }
    if (!registry_) return all;
    for (const AdmittedNode& node : registry_->admitted()) all.insert(node.id);
    return all;
}

AccessChange Access::follow(RaftStanding raft) {
    if (raft == raft_) return {};
    return change(registry_, std::move(raft));
}

AccessChange Access::follow(std::shared_ptr<const Registry> own) {
    const bool older = registry_ && own->revision() < registry_->revision();
    return change(older ? registry_ : std::move(own), raft_);
}

bool Access::heeds(const Registry& told) const {
    if (!registry_) return true;
    if (told.revision() < registry_->revision()) return false;
    if (told.revision() > registry_->revision()) return true;
    return std::ranges::any_of(told.admitted(),
                               [this](const AdmittedNode& node) { return !registry_->check(node.id); });
}

AccessChange Access::hear(std::shared_ptr<const Registry> told) {
    return heeds(*told) ? change(std::move(told), raft_) : AccessChange{};
}

std::optional<Registry> Access::tell() const {
    if (!registry_) return std::nullopt;
    Registry registry = *registry_;
    for (const RaftServer& server : raft_.servers) {
        const bool needed = needs_refused_ && server.role == RaftRole::kVoter;
        if (needed) registry.let_in(server.id, server.address);
    }
    return registry;
}

std::vector<AdmittedNode> Access::known_servers() const {
    std::vector<AdmittedNode> servers;
    if (!registry_) {
        for (const RaftServer& server : raft_.servers)
            servers.push_back({server.id, {}, server.address, true});
        return servers;
    }
    const bool blank = raft_.servers.empty();
    for (const wire::PutNode& node : registry_->nodes()) {
        const NodeId id{node.node_id()};
        if (is_server(node) && (blank || registry_->check(id)))
            servers.push_back({id, node.machine(), node.address(), true});
    }
    for (const auto& [id, newcomer] : newcomers_) servers.push_back({id, {}, newcomer.address, true});
    return servers;
}

std::optional<AdmittedNode> Access::ask(size_t turn) const {
    if (SMACK_BUG("access_never_asks")) return std::nullopt;
    std::vector<AdmittedNode> servers = known_servers();
    std::erase_if(servers,
                  [this](const AdmittedNode& node) { return node.id == self_ || node.address.empty(); });
    if (servers.empty()) return std::nullopt;
    return servers[turn % servers.size()];
}

AccessChange Access::change(std::shared_ptr<const Registry> registry, RaftStanding raft) {
    const Access before = *this;
    raft_ = std::move(raft);
    if (!registry) return {};
    registry_ = std::move(registry);
    std::erase_if(outdated_, [this](NodeId node) { return !is_voter(node); });
    needs_refused_ = needs_refused_voters();
    AccessChange change;
    const auto same = [&](NodeId node) {
        return before.registry_ && before.registry_->same(node, *registry_);
    };
    for (const NodeId node : before.connected()) {
        if (node == self_) continue;
        // Another generation is another certificate: what was let in by the old one ends.
        const bool renewed =
            before.registry_ && before.registry_->check(node) && registry_->check(node) && !same(node);
        if ((lets_in(node) && !renewed) || SMACK_BUG("access_keeps_connections")) continue;
        heard_.erase(node);
        change.cut.push_back({node, renewed ? Error{Errc::kDenied, "the node has a new certificate", 0}
                                            : registry_->check(node).error()});
    }
    std::erase_if(newcomers_, [&](const auto& one) { return !registry_->is_ahead(one.second.node); });
    for (AdmittedNode& node : registry_->admitted()) {
        const bool known = node.server && !node.address.empty();
        if (known && node.id != self_ && !same(node.id)) change.dial.push_back(std::move(node));
    }
    return change;
}

}  // namespace smackd::core::cluster
