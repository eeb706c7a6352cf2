#include "cmd/smackd/node/consensus.h"

#include <unistd.h>

#include <algorithm>
#include <future>

#include "storage/cluster_view.h"

namespace smackd::cmd {

using core::cluster::MembershipChange;

namespace {

inline constexpr core::Duration kCloseLimit = core::seconds(5);

std::vector<storage::Server> servers_of(const std::vector<InitialVoter>& voters) {
    std::vector<storage::Server> servers;
    for (const InitialVoter& voter : voters) {
        servers.push_back({core::NodeId{voter.node_id}, voter.address, storage::ServerRole::kVoter});
    }
    return servers;
}

const storage::Server* find_server(const storage::ReplicaStatus& status, core::NodeId node) {
    auto found = std::ranges::find(status.servers, node, &storage::Server::id);
    return found == status.servers.end() ? nullptr : &*found;
}

std::unexpected<core::Error> no_leader() {
    return std::unexpected(
        core::Error{core::Errc::kUnavailable,
                    "there is no leader now: too few servers are up or can reach each other", 500});
}

}  // namespace

core::Result<std::unique_ptr<Consensus>> Consensus::start(ConsensusOptions options,
                                                          ConsensusEnvironment environment) {
    std::unique_ptr<Consensus> consensus(new Consensus(std::move(options), std::move(environment)));
    // Reading the log and the databases takes long and would look like a stall: the loop runs afterwards.
    auto begun = consensus->begin();
    consensus->thread_.start();
    if (!begun) {
        consensus->stop();
        return core::pass(std::move(begun));
    }
    return consensus;
}

Consensus::Consensus(ConsensusOptions options, ConsensusEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      thread_("consensus", environment_.logger) {}

Consensus::~Consensus() {
    stop();
}

core::Result<void> Consensus::begin() {
    PeersOptions peers;
    peers.self = core::NodeId{options_.identity.node_id};
    peers.cluster_id = options_.identity.cluster_id;
    peers.software = options_.software;
    peers.listen = options_.cluster_address;
    peers.kdc_port = options_.kdc_port;
    peers.address = options_.advertised_address;
    TlsIdentities& identities = environment_.identities;
    peers_ = std::make_unique<Peers>(thread_.loop(), environment_.workers, std::move(peers),
                                     Peers::TlsSource{[&identities] { return identities.peer_server(); },
                                                      [&identities] { return identities.peer_client(); },
                                                      [&identities] { return identities.peer_client(); }},
                                     *this, environment_.logger.named("peers"));
    TRY(peers_->listen());
    log_executor_ = std::make_unique<net::ThreadExecutor>(thread_.loop(), "log");
    snapshot_executor_ = std::make_unique<net::ThreadExecutor>(thread_.loop(), "snapshot");
    checkpoint_executor_ = std::make_unique<net::ThreadExecutor>(thread_.loop(), "checkpoint");
    TRY_ASSIGN(state_, environment_.open_state(*checkpoint_executor_));
    return begin_replica();
}

core::Result<void> Consensus::begin_replica() {
    storage::ReplicaOptions options;
    options.self = core::NodeId{options_.identity.node_id};
    options.directory = options_.directory.raft();
    storage::ReplicaEnvironment environment{
        environment_.disk,   environment_.clock,   thread_.loop(),
        *log_executor_,      *snapshot_executor_,  random_,
        peers_->transport(), environment_.metrics, environment_.logger.named("replica")};
    TRY_ASSIGN(replica_, storage::Replica::make(std::move(options), environment, *state_));
    replica_->set_observer([this](const storage::ReplicaStatus& status) {
        publish(status);
        follow_leader(status.leader);
        if (changed_) changed_(status);
    });
    if (!options_.initial_voters.empty()) {
        auto written = replica_->bootstrap(servers_of(options_.initial_voters));
        bool has_log = !written && written.error().code == core::Errc::kConflict;
        if (!written && !has_log) return core::pass(std::move(written));
    }
    TRY(replica_->start());
    refresh_status();
    return {};
}

// What was forwarded to the one before may never be answered: it may be stopped, or cut off.
void Consensus::follow_leader(core::NodeId leader) {
    if (leader.value == 0 || leader == last_leader_) return;
    const core::NodeId before = std::exchange(last_leader_, leader);
    if (before.value != 0 && before.value != options_.identity.node_id) peers_->give_up(before);
}

void Consensus::publish(const storage::ReplicaStatus& status) {
    std::lock_guard lock(mutex_);
    status_ = status;
}

// A removed server may never hear that it was: the others are done with it, and a standby says nothing by
// itself. Whom it asks for the registry says so.
void Consensus::refresh_status() {
    const storage::ReplicaStatus now = replica_->status();
    publish(now);
    peers_->raft_changed();
    const bool follows = now.role != storage::ReplicaRole::kLeader;
    if (follows && now.since_leader_contact > core::cluster::kAskForRegistry) peers_->ask_for_registry();
    status_timer_ = thread_.loop().start(kStatusAge, [this] { refresh_status(); }, "status");
}

storage::ReplicaStatus Consensus::status() const {
    std::lock_guard lock(mutex_);
    return status_;
}

void Consensus::on_change(core::Callback<void(const storage::ReplicaStatus&)> changed) {
    thread_.call<bool>([&] {
        changed_ = std::move(changed);
        changed_(replica_->status());
        return true;
    });
}

void Consensus::inspect(core::Callback<void(const storage::ReplicaStatus&)> work) {
    thread_.loop().post(
        [this, work = std::move(work)]() mutable { work(replica_ ? replica_->status() : status()); },
        "inspect");
}

void Consensus::set_committed(core::Callback<core::Revision()> committed) {
    thread_.call<bool>([&] {
        committed_ = std::move(committed);
        return true;
    });
}

namespace {

/// An error on the way to the leader says so: whoever asked did not name that server.
core::Callback<void(core::Result<core::Bytes>)> by_leader(
    const storage::Server& leader, core::Callback<void(core::Result<core::Bytes>)> done) {
    std::string context = std::format("asking the leader (server {})", leader.id.value);
    return [context = std::move(context), done = std::move(done)](core::Result<core::Bytes> answer) mutable {
        const bool unreachable = !answer && (answer.error().code == core::Errc::kUnavailable ||
                                             answer.error().code == core::Errc::kIo ||
                                             answer.error().code == core::Errc::kTimeout ||
                                             answer.error().code == core::Errc::kUnknownOutcome);
        done(unreachable ? core::pass(std::move(answer), context) : std::move(answer));
    };
}

/// A question has no outcome: without an answer it is as if it had not been asked.
core::Callback<void(core::Result<core::Bytes>)> question(
    core::Callback<void(core::Result<core::Bytes>)> done) {
    return [done = std::move(done)](core::Result<core::Bytes> answer) mutable {
        if (!answer && answer.error().code == core::Errc::kUnknownOutcome)
            answer.error().code = core::Errc::kUnavailable;
        done(std::move(answer));
    };
}

}  // namespace

bool Consensus::is_leader() const {
    return replica_ && replica_->status().role == storage::ReplicaRole::kLeader;
}

void Consensus::propose(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) {
    thread_.loop().post(
        [this, command = std::move(command), done = std::move(done)]() mutable {
            if (!replica_) return done(no_leader());
            storage::ReplicaStatus status = replica_->status();
            if (status.role == storage::ReplicaRole::kLeader)
                return replica_->propose(std::move(command), std::move(done));
            const storage::Server* leader = find_server(status, status.leader);
            if (leader == nullptr) return done(no_leader());
            peers_->call(leader->id, leader->address, "propose", std::move(command),
                         by_leader(*leader, std::move(done)));
        },
        "propose");
}

void Consensus::local_barrier(core::Callback<void(core::Result<core::Revision>)> done) {
    replica_->barrier([this, done = std::move(done)](core::Result<core::Index> index) mutable {
        if (!index) return done(core::pass(std::move(index)));
        done(committed_ ? committed_() : core::Revision{});
    });
}

void Consensus::barrier(core::Callback<void(core::Result<core::Revision>)> done) {
    thread_.loop().post(
        [this, done = std::move(done)]() mutable {
            if (!replica_) return done(no_leader());
            if (is_leader()) return local_barrier(std::move(done));
            storage::ReplicaStatus status = replica_->status();
            const storage::Server* leader = find_server(status, status.leader);
            if (leader == nullptr) return done(no_leader());
            auto parsed = [done = std::move(done)](core::Result<core::Bytes> answer) mutable {
                if (!answer) return done(core::pass(std::move(answer)));
                done(core::Revision::parse(*answer));
            };
            peers_->call(leader->id, leader->address, "barrier", {},
                         question(by_leader(*leader, std::move(parsed))));
        },
        "barrier");
}

std::optional<core::cluster::RaftStanding> Consensus::raft_standing() {
    if (!replica_) return std::nullopt;
    const storage::ReplicaStatus status = replica_->status();
    return core::cluster::RaftStanding{storage::raft_servers(status), status.recoveries};
}

void Consensus::change_membership(MembershipChange change, core::Callback<void(core::Result<void>)> done) {
    thread_.loop().post(
        [this, change = std::move(change), done = std::move(done)]() mutable {
            if (!replica_) return done(no_leader());
            switch (change.kind) {
                case MembershipChange::Kind::kAdd:
                    return replica_->add_server({change.node, change.address, storage::ServerRole::kStandby},
                                                std::move(done));
                case MembershipChange::Kind::kFill:
                case MembershipChange::Kind::kDemote:
                    return replica_->assign_role(change.node, storage::ServerRole::kStandby, std::move(done));
                case MembershipChange::Kind::kPromote:
                    return replica_->assign_role(change.node, storage::ServerRole::kVoter, std::move(done));
                case MembershipChange::Kind::kRemove:
                    return replica_->remove_server(change.node, std::move(done));
                case MembershipChange::Kind::kHandOver:
                    return replica_->transfer_leadership(core::NodeId{0}, std::move(done));
            }
        },
        "membership");
}

void Consensus::note_pending(wire::PendingMachine machine) {
    thread_.loop().post(
        [this, machine = std::move(machine)]() mutable {
            if (!replica_) return;
            if (is_leader()) return peers_->note_pending(std::move(machine));
            storage::ReplicaStatus status = replica_->status();
            const storage::Server* leader = find_server(status, status.leader);
            if (leader != nullptr)
                peers_->tell(leader->id, leader->address, "pending", machine.SerializeAsString());
        },
        "pending");
}

void Consensus::pending(core::Callback<void(core::Result<core::Bytes>)> done) {
    thread_.loop().post(
        [this, done = std::move(done)]() mutable {
            if (!replica_) return done(no_leader());
            if (is_leader()) return done(peers_->pending().SerializeAsString());
            storage::ReplicaStatus status = replica_->status();
            const storage::Server* leader = find_server(status, status.leader);
            if (leader == nullptr) return done(no_leader());
            peers_->call(leader->id, leader->address, "pending", {}, question(std::move(done)));
        },
        "pending");
}

wire::HeartbeatAnswer Consensus::standing() {
    wire::HeartbeatAnswer answer;
    const core::Revision head = committed_ ? committed_() : core::Revision{};
    answer.set_epoch(head.epoch);
    answer.set_revision(head.number);
    answer.set_leader(status().leader.value);
    return answer;
}

void Consensus::peer_proposes(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) {
    if (!replica_) return done(no_leader());
    replica_->propose(std::move(command), std::move(done));
}

void Consensus::peer_barrier(core::Callback<void(core::Result<core::Bytes>)> done) {
    if (!is_leader()) return done(no_leader());
    local_barrier([done = std::move(done)](core::Result<core::Revision> revision) mutable {
        if (!revision) return done(core::pass(std::move(revision)));
        done(revision->to_string());
    });
}

// The others need not wait for an election timeout when a server is stopped in good order.
void Consensus::hand_over(core::Callback<void()> then) {
    if (!is_leader() || replica_->status().servers.size() < 2) return then();
    replica_->transfer_leadership(core::NodeId{0},
                                  [then = std::move(then)](core::Result<void>) mutable { then(); });
}

void Consensus::stop() {
    if (std::exchange(stopped_, true)) return;
    std::promise<void> closed;
    auto closing = closed.get_future();
    thread_.loop().post(
        [&] {
            thread_.loop().cancel(status_timer_);
            if (!replica_) return closed.set_value();
            hand_over([this, &closed] { replica_->close([&closed] { closed.set_value(); }); });
        },
        "close");
    if (closing.wait_for(kCloseLimit) != std::future_status::ready) {
        environment_.logger.error("the replica did not close in time; what was acknowledged is on disk");
        ::_exit(1);  // going on would free what it still uses
    }
    if (peers_) {
        thread_.await<bool>([this] {
            return [](Peers& peers) -> net::Task<bool> {
                co_await peers.close();
                co_return true;
            }(*peers_);
        });
    }
    thread_.call<bool>([this] {
        replica_.reset();
        state_.reset();
        checkpoint_executor_.reset();
        log_executor_.reset();
        snapshot_executor_.reset();
        peers_.reset();
        return true;
    });
    thread_.stop();
}

}  // namespace smackd::cmd
