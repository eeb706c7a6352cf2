#include "tests/sim/cluster/node.h"

#include <algorithm>
#include <format>

#include "storage/cluster_view.h"
#include "storage/state/registry_rows.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {

using core::Result;
using core::cluster::MembershipChange;
using core::cluster::MembershipControl;
using Kind = MembershipChange::Kind;

namespace {

constexpr core::milliseconds kStatusAge{500};
constexpr core::milliseconds kRetry{1000};

}  // namespace

Node::Node(Site& site, Machine& machine)
    : site_(site),
      machine_(machine),
      process_(*machine.installation->process),
      id_(machine.installation->id),
      timers_(process_.life()),
      access_(core::NodeId{id_}) {
    // Its own state begins in the past: until that has come further, a new server goes by what it was told.
    if (auto told = Registry::decode(machine.installation->registry, kClusterId); told)
        set_access(std::make_shared<const Registry>(std::move(*told)));
    control_ = std::make_unique<MembershipControl>(MembershipControl::World{
        core::NodeId{id_},
        timers_,
        [this] {
            return MembershipControl::Standing{status_.role == storage::ReplicaRole::kLeader,
                                               status_.may_plan, storage::raft_servers(status_)};
        },
        [this](const MembershipChange& wanted, auto done) { change(wanted, std::move(done)); },
        {},
        core::Logger(site_.log, std::format("n{}", id_))});
    process_.replica().set_observer([this](const storage::ReplicaStatus& status) {
        status_ = status;
        site_.checker.observe(machine_, status);
        timers_.start(core::Duration{0}, [this] { control_->consensus_changed(); });
    });
    refresh_status();
    subscribe();
    feed_changed();
}

Node::~Node() {
    watch_.reset();
    control_.reset();
}

void Node::refresh_status() {
    status_ = status();
    carry_out(access_.follow(standing()));
    for (const auto& [peer, address] : machine_.addresses) site_.mesh.dial(id_, peer, address);
    const bool follows = status_.role != storage::ReplicaRole::kLeader;
    if (follows && status_.since_leader_contact > core::cluster::kAskForRegistry) ask_for_registry();
    timers_.start(kStatusAge, [this] { refresh_status(); });
}

// ---- the registry ----

void Node::subscribe() {
    auto notify = [this, life = process_.life()] {
        life->schedule(core::Duration{20'000}, [this] { feed_changed(); }, life);
    };
    auto& hub = process_.hub();
    auto watch = hub.watch(
        hub.head(), {.kinds = {"cluster", "epoch", "level", "machine", "node"}, .key_prefix = {}}, notify);
    if (watch) {
        watch_ = std::move(*watch);
    } else {
        timers_.start(kRetry, [this] { feed_changed(); });
    }
}

/// Takes all there is, which also asks for the next wake-up.
void Node::feed_changed() {
    if (!watch_) subscribe();
    stale_ = true;
    if (!reloading_) {
        reloading_ = true;
        timers_.start(site_.between(0, 3), [this] { reload(); });
    }
    while (watch_) {
        auto taken = watch_->take(64);
        if (taken && taken->empty()) return;
        if (taken) continue;
        watch_.reset();
        subscribe();
    }
}

Result<Node::Registry> Node::read_registry() {
    TRY_ASSIGN(auto view, process_.reader().view());
    return storage::state::read_registry(view);
}

void Node::reload() {
    stale_ = false;
    auto read = read_registry();
    if (!read) {
        timers_.start(kRetry, [this] { reload(); });
        return;
    }
    reloading_ = false;
    if (read->known()) {
        registry_ = std::make_shared<const Registry>(std::move(*read));
        timers_.start(site_.between(0, 1), [this, registry = registry_] { set_access(registry); });
        control_->set_registry(registry_);
    }
    if (stale_) feed_changed();
}

void Node::set_access(std::shared_ptr<const Registry> registry) {
    carry_out(access_.follow(standing()));
    carry_out(access_.follow(std::move(registry)));
}

core::cluster::RaftStanding Node::standing() const {
    const storage::ReplicaStatus now = status();
    return {storage::raft_servers(now), now.recoveries};
}

/// Nothing was heard of a leader for long: another server may know better who may speak.
void Node::ask_for_registry() {
    const auto server = access_.ask(asked_++);
    if (asking_ || !server) return;
    asking_ = true;
    const auto answered = [this](Result<core::Bytes> answer) {
        asking_ = false;
        auto told = answer ? Registry::decode(*answer, kClusterId) : core::pass(std::move(answer));
        if (!told || !access_.heeds(*told)) return;
        site_.note(Event::kRegistryTold,
                   std::format("n{} at revision {}", id_, told->revision().to_string()));
        carry_out(access_.hear(std::make_shared<const Registry>(std::move(*told))));
    };
    const auto tell = [](Node& other, Reply reply) {
        const auto told = other.access_.tell();
        if (!told) return reply(core::fail(core::Errc::kUnavailable, "no state yet"));
        reply(told->to_wire().SerializeAsString());
    };
    site_.mesh.call(*this, server->id.value, server->address, tell, answered);
}

void Node::carry_out(const core::cluster::AccessChange& change) {
    for (const auto& [node, why] : change.cut) {
        site_.note(Event::kConnectionsCut, std::format("n{} cuts n{}: {}", id_, node.value, why.message));
        site_.mesh.cut(id_, node.value);
        machine_.addresses.erase(node.value);
    }
    for (const auto& node : change.dial) machine_.addresses[node.id.value] = node.address;
}

Result<core::cluster::AdmittedNode> Node::check(const core::cluster::CertifiedNode& node) {
    carry_out(access_.follow(standing()));
    auto admitted = access_.check(node);
    if (admitted) return admitted;
    const bool configuration = admitted.error().message.contains("no server of this cluster");
    site_.note(configuration ? Event::kCallerRefusedByConfiguration : Event::kCallerRefusedByRegistry,
               std::format("n{} refuses n{}: {}", id_, node.id.value, admitted.error().message));
    return admitted;
}

// ---- Raft ----

void Node::change(const MembershipChange& change, core::Callback<void(Result<void>)> done) {
    site_.checker.changes(*this, change);
    auto& replica = process_.replica();
    const std::string what =
        std::format("n{} {} n{}", id_, core::cluster::membership_change_name(change.kind), change.node.value);
    auto told = [this, what, done = std::move(done)](Result<void> result) mutable {
        site_.checker.changed(*this);
        if (!result) site_.note(Event::kChangeFailed, what + ": " + result.error().message);
        timers_.start(core::Duration{0}, [result, done = std::move(done)]() mutable { done(result); });
    };
    switch (change.kind) {
        case Kind::kAdd:
            site_.note(Event::kStandbyAdded, what);
            return replica.add_server({change.node, change.address, storage::ServerRole::kStandby},
                                      std::move(told));
        case Kind::kFill:
            site_.note(Event::kSpareFilled, what);
            return replica.assign_role(change.node, storage::ServerRole::kStandby, std::move(told));
        case Kind::kDemote:
            site_.note(Event::kVoterDemoted, what);
            return replica.assign_role(change.node, storage::ServerRole::kStandby, std::move(told));
        case Kind::kPromote:
            site_.note(Event::kVoterMade, what);
            return replica.assign_role(change.node, storage::ServerRole::kVoter, std::move(told));
        case Kind::kRemove:
            site_.note(Event::kServerRemoved, what);
            return replica.remove_server(change.node, std::move(told));
        case Kind::kHandOver:
            site_.note(Event::kRefusedLeaderHandsOver, what);
            return replica.transfer_leadership(core::NodeId{0}, std::move(told));
    }
}

/// `work` runs on the leader: here, or over the network.
template <class Local>
void Node::at_leader(Reply done, const char* what, Local work) {
    const storage::ReplicaStatus now = status();
    if (now.role == storage::ReplicaRole::kLeader) return work(*this, std::move(done));
    const auto leader = std::ranges::find(now.servers, now.leader, &storage::Server::id);
    if (leader == now.servers.end())
        return done(core::fail(core::Errc::kUnavailable, "no leader to {}", what));
    site_.mesh.call(*this, leader->id.value, leader->address, std::move(work), std::move(done));
}

void Node::propose(core::Bytes command, Reply done) {
    at_leader(std::move(done), "propose", [command = std::move(command)](Node& leader, Reply reply) {
        leader.process_.replica().propose(command, std::move(reply));
    });
}

/// `done` runs once everything acknowledged before is in this server's state.
void Node::barrier(core::Callback<void(Result<void>)> done) {
    auto follow = [this, done = std::move(done)](Result<core::Bytes> answer) mutable {
        if (!answer) return done(core::pass(std::move(answer)));
        auto revision = core::Revision::parse(*answer);
        if (!revision) return done(core::pass(std::move(revision)));
        auto last = std::make_shared<core::Callback<void(Result<void>)>>(std::move(done));
        // Not inside of the hub, which this would deadlock.
        auto wait = process_.hub().wait(*revision, [this, last](Result<core::Revision> reached) {
            timers_.start(core::Duration{0}, [last, moved = std::move(reached)]() mutable {
                (*last)(std::move(moved).transform([](core::Revision) {}));
            });
        });
        if (!wait) (*last)(core::pass(std::move(wait)));
    };
    at_leader(std::move(follow), "barrier", [](Node& leader, Reply reply) {
        leader.process_.replica().barrier(
            [&leader, reply = std::move(reply)](Result<core::Index> index) mutable {
                if (!index) return reply(core::pass(std::move(index)));
                reply(leader.process_.hub().head().to_string());
            });
    });
}

// ---- joining ----

void Node::admit(Wish wish, int attempt, Admitted done) {
    barrier([this, wish, attempt, done = std::move(done)](Result<void> reached) mutable {
        if (reached) return admit_now(wish, attempt, std::move(done));
        done(std::unexpected(core::cluster::JoinRefused{"unavailable", std::move(reached.error())}));
    });
}

Result<core::cluster::JoinFacts> Node::read_facts(const std::string& machine, Registry& registry) {
    TRY_ASSIGN(auto view, process_.reader().view());
    TRY_ASSIGN(registry, storage::state::read_registry(view));
    return storage::state::read_join_facts(view, machine);
}

void Node::admit_now(const Wish& wish, int attempt, Admitted done) {
    Registry registry;
    auto facts = read_facts(wish->claim.machine, registry);
    if (!facts)
        return done(std::unexpected(core::cluster::JoinRefused{"unavailable", std::move(facts.error())}));
    auto admit = core::cluster::decide_join(*facts, wish->claim, wish->request);
    if (!admit) return done(std::unexpected(std::move(admit.error())));
    // Voters that are heard although they are refused are needed until they can be taken out.
    for (const storage::Server& server : status_.servers) {
        const bool needed = !registry.check(server.id) && access_.lets_in(server.id);
        if (needed || server.id.value == id_) registry.let_in(server.id, server.address);
    }
    JoinGrant grant{admit->node_id(), admit->generation(), facts->epoch,
                    registry.to_wire().SerializeAsString()};
    auto committed = [this, wish, attempt, grant,
                      done = std::move(done)](core::cluster::JoinResult<void> result) mutable {
        if (result) return done(std::move(grant));
        const bool raced = result.error().reason == "raced";
        if (raced) site_.note(Event::kJoinRaced, wish->claim.machine);
        if (raced && attempt < core::cluster::kJoinAttempts)
            return this->admit(wish, attempt + 1, std::move(done));
        done(std::unexpected(std::move(result.error())));
    };
    // Issuing the certificate takes a worker a moment.
    timers_.start(site_.between(1, 60), [this, wish, facts = std::move(*facts), admit = std::move(*admit),
                                         committed = std::move(committed)]() mutable {
        commit(wish, std::move(facts), std::move(admit), std::move(committed));
    });
}

void Node::commit(const Wish& wish, core::cluster::JoinFacts facts, wire::AdmitNode admit,
                  core::Callback<void(core::cluster::JoinResult<void>)> done) {
    admit.set_certificate_serial(std::format("{:x}", site_.world.random().next()));
    admit.set_certificate_not_after_ms(process_.clock().wall().unix_ms + 24 * 3'600'000LL);
    wire::Command command;
    command.set_feature_level(core::cluster::kJoinFeatureLevel);
    command.mutable_actor()->set_kind(wire::Actor::MACHINE);
    command.mutable_actor()->set_principal(wish->claim.principal);
    command.mutable_actor()->set_door("join");
    *command.add_changes()->mutable_admit_node() = std::move(admit);
    propose(command.SerializeAsString(),
            [facts = std::move(facts), done = std::move(done)](Result<core::Bytes> answer) mutable {
                wire::CommandResult result;
                if (!answer)
                    return done(std::unexpected(
                        core::cluster::JoinRefused{"unavailable", std::move(answer.error())}));
                result.ParseFromString(*answer);
                if (result.code() == 0) return done({});
                core::Error why{static_cast<core::Errc>(result.code()), result.message(), 0};
                done(std::unexpected(core::cluster::refusal_of_apply(facts, std::move(why))));
            });
}

}  // namespace smackd::sim::cluster
