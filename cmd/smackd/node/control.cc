#include "cmd/smackd/node/control.h"

#include "storage/cluster_view.h"
#include "storage/state/registry_rows.h"

namespace smackd::cmd {

using core::Result;

namespace {

core::cluster::MembershipControl::Standing standing_of(const storage::ReplicaStatus& status) {
    return {status.role == storage::ReplicaRole::kLeader, status.may_plan, storage::raft_servers(status)};
}

}  // namespace

Control::Control(Parts parts)
    : parts_(std::move(parts)), thread_("control", parts_.logger), scope_(thread_.loop()) {
    gossip_ = std::make_unique<GossipKeeper>(
        GossipKeeper::Parts{thread_.loop(), parts_.consensus, parts_.workers, parts_.clock,
                            parts_.cluster_key, parts_.self, parts_.cluster_id, parts_.gossip_address,
                            parts_.known_members, std::move(parts_.refused), parts_.logger.named("gossip")});
    thread_.start();
    thread_.call<bool>([this] {
        membership_ =
            std::make_unique<core::cluster::MembershipControl>(core::cluster::MembershipControl::World{
                parts_.self, thread_.loop(), [this] { return standing_of(parts_.consensus.status()); },
                [this](core::cluster::MembershipChange wanted, auto done) {
                    change(std::move(wanted), std::move(done));
                },
                [this](bool plans) { gossip_->lead(plans); }, parts_.logger});
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
            control.membership_.reset();
            co_await control.scope_.close();
            control.gossip_->end();
            co_return true;
        }(*this);
    });
    thread_.stop();
}

void Control::consensus_changed() {
    thread_.loop().post(
        [this] {
            if (membership_) membership_->consensus_changed();
        },
        "consensus changed");
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
            auto slept = co_await net::sleep(thread_.loop(), kRegistryRetry);
            if (!slept) co_return;
            stale_ = true;
            continue;
        }
        if (!read->registry->known()) continue;  // the cluster's first command is not here yet
        auto registry = read->registry;
        parts_.consensus.loop().post(
            [&consensus = parts_.consensus, registry] { consensus.peers().set_registry(registry); },
            "registry");
        gossip_->update(std::move(*read));
        membership_->set_registry(std::move(registry));
    }
    reloading_ = false;
}

Result<GossipKeeper::Facts> Control::read_facts() {
    storage::state::StateReader reader(parts_.reader);
    TRY_ASSIGN(auto view, reader.view());
    GossipKeeper::Facts facts;
    TRY_ASSIGN(auto registry, storage::state::read_registry(view));
    facts.registry = std::make_shared<const auth::Registry>(std::move(registry));
    if (!facts.registry->known()) return facts;
    TRY_ASSIGN(auto keys, reader.secret(kGossipKeysSecret));
    facts.sealed_keys = std::move(keys).value_or(core::Bytes());
    parts_.registry_read(*facts.registry);
    return facts;
}

void Control::change(core::cluster::MembershipChange change, core::Callback<void(core::Result<void>)> done) {
    parts_.consensus.change_membership(
        std::move(change), [this, done = std::move(done)](Result<void> result) mutable {
            thread_.loop().post(
                [done = std::move(done), moved = std::move(result)]() mutable { done(std::move(moved)); },
                "membership");
        });
}

}  // namespace smackd::cmd
