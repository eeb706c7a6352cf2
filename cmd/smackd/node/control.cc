#include "cmd/smackd/node/control.h"

#include <algorithm>

namespace smackd::cmd {

using core::Result;

namespace {

inline constexpr core::Duration kPlanWait = core::milliseconds(200);

}  // namespace

Control::Control(Parts parts)
    : parts_(std::move(parts)), thread_("control", parts_.logger), scope_(thread_.loop()) {
    gossip_ = std::make_unique<GossipKeeper>(
        GossipKeeper::Parts{thread_.loop(), parts_.consensus, parts_.workers, parts_.clock,
                            parts_.cluster_key, parts_.self, parts_.cluster_id, parts_.gossip_address,
                            parts_.known_members, std::move(parts_.refused), parts_.logger.named("gossip")});
    thread_.start();
    thread_.call<bool>([this] {
        listener_ = std::make_unique<services::FeedListener>(
            thread_.loop(), parts_.hub,
            std::vector<std::string>{"cluster", "epoch", "level", "machine", "node", "secret"},
            [this] { registry_changed(); });
        return true;
    });
}

Control::~Control() {
    stop();
}

void Control::stop() {
    if (std::exchange(stopped_, true)) return;
    gossip_->stop();
    thread_.await<bool>([this] {
        return [](Control& control) -> net::Task<bool> {
            control.listener_.reset();
            control.thread_.loop().cancel(control.retry_);
            co_await control.scope_.close();
            control.gossip_->end();
            co_return true;
        }(*this);
    });
    thread_.stop();
}

void Control::consensus_changed() {
    thread_.loop().post([this] { decide(); }, "consensus changed");
}

// Those that come while one reading is under way are one more reading.
void Control::registry_changed() {
    stale_ = true;
    if (reloading_) return;
    reloading_ = true;
    scope_.spawn(reload());
}

net::Task<void> Control::reload() {
    while (std::exchange(stale_, false)) {
        auto read =
            co_await parts_.workers.run<GossipKeeper::Facts>(thread_.loop(), [this] { return read_facts(); });
        if (scope_.cancelled()) co_return;
        if (!read) {
            parts_.logger.warning("reading the registry", {{"error", read.error().message}});
            auto slept = co_await net::sleep(thread_.loop(), kMembershipRetry);
            if (!slept) co_return;
            stale_ = true;
            continue;
        }
        if (!read->registry->known()) continue;  // the cluster's first command is not here yet
        registry_ = read->registry;
        parts_.consensus.loop().post([&consensus = parts_.consensus,
                                      registry = registry_] { consensus.peers().set_registry(registry); },
                                     "registry");
        gossip_->update(std::move(*read));
        decide();
    }
    reloading_ = false;
}

Result<GossipKeeper::Facts> Control::read_facts() {
    storage::state::StateReader reader(parts_.reader);
    TRY_ASSIGN(auto view, reader.view());
    auth::Registry::Rows rows;
    GossipKeeper::Facts facts{std::make_shared<const auth::Registry>(), {}, 0};
    TRY_ASSIGN(auto cluster, view.cluster());
    if (!cluster) return facts;
    rows.cluster_id = cluster->put.cluster_id();
    rows.epoch = view.point().revision.epoch;
    TRY_ASSIGN(auto machines, view.machines());
    for (auto& row : machines) rows.machines.push_back(std::move(row.put));
    TRY_ASSIGN(auto nodes, view.nodes());
    for (auto& row : nodes) rows.nodes.push_back(std::move(row.put));
    TRY_ASSIGN(facts.last_node_id, view.last_node_id());
    rows.last_node_id = facts.last_node_id;
    facts.registry = std::make_shared<const auth::Registry>(std::move(rows));
    TRY_ASSIGN(auto keys, reader.secret(kGossipKeysSecret));
    facts.sealed_keys = std::move(keys).value_or(core::Bytes());
    parts_.registry_read(*facts.registry);
    return facts;
}

MembershipView Control::view_of(const storage::ReplicaStatus& status) const {
    MembershipView view;
    view.self = parts_.self;
    view.epoch = registry_->epoch();
    view.raft = status.servers;
    const std::vector<wire::PutNode> nodes = registry_->nodes();
    for (const auth::AdmittedNode& node : registry_->admitted()) {
        if (!node.server) continue;
        const auto row =
            std::ranges::find(nodes, node.id.value, [](const wire::PutNode& one) { return one.node_id(); });
        view.allowed.push_back({node.id, node.address, row->epoch()});
    }
    return view;
}

void Control::decide() {
    if (scope_.cancelled()) return;
    const storage::ReplicaStatus status = parts_.consensus.status();
    const bool leads = status.role == storage::ReplicaRole::kLeader;
    gossip_->lead(leads && status.may_plan);
    if (changing_ || !registry_ || !leads) return;
    if (!status.may_plan) {  // a new leader first applies an entry of its own term
        thread_.loop().cancel(retry_);
        retry_ = thread_.loop().start(kPlanWait, [this] { decide(); }, "membership");
        return;
    }
    if (auto next = decide_membership(view_of(status))) change(std::move(*next));
}

void Control::change(MembershipChange wanted) {
    changing_ = true;
    parts_.logger.info("changing the servers",
                       {{"change", membership_change_name(wanted.kind)}, {"node", wanted.node.value}});
    parts_.consensus.change_membership(wanted, [this, wanted](Result<void> result) {
        thread_.loop().post(
            [this, wanted, moved = std::move(result)]() mutable { changed(wanted, std::move(moved)); },
            "membership");
    });
}

// A short pause also after success: the status that the next decision looks at is a copy.
void Control::changed(const MembershipChange& change, Result<void> result) {
    if (!result) {
        parts_.logger.warning("the servers were not changed",
                              {{"change", membership_change_name(change.kind)},
                               {"node", change.node.value},
                               {"error", result.error().message}});
    }
    if (stopped_ || scope_.cancelled()) return;
    retry_ = thread_.loop().start(
        kMembershipRetry,
        [this] {
            changing_ = false;
            decide();
        },
        "membership");
}

}  // namespace smackd::cmd
