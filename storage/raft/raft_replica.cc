#include "storage/raft/raft_replica.h"

#include <algorithm>
#include <format>

#include "core/planted.h"

namespace smackd::storage {
namespace {

constexpr core::milliseconds kStepAsideRetry{1500};  // a full disk may pass
constexpr uint32_t kNoLeaderRetryMs = 200;

core::Error leadership_lost() {
    return {core::Errc::kUnavailable, "leadership was lost", kNoLeaderRetryMs};
}

}  // namespace

core::Result<std::unique_ptr<Replica>> Replica::make(ReplicaOptions options, ReplicaEnvironment environment,
                                                     Fsm& fsm) {
    if (options.self.value == 0)
        return core::fail(core::Errc::kInvalid, "the id of this server must not be 0");
    if (options.directory.empty()) return core::fail(core::Errc::kInvalid, "no data directory given");
    if (options.heartbeat * 3 > options.election_timeout) {
        return core::fail(core::Errc::kInvalid,
                          "election timeout {} ms must be at least three heartbeats of {} ms",
                          options.election_timeout.count(), options.heartbeat.count());
    }
    return std::unique_ptr<Replica>(std::make_unique<RaftReplica>(std::move(options), environment, fsm));
}

RaftReplica::RaftReplica(ReplicaOptions options, ReplicaEnvironment environment, Fsm& fsm)
    : options_(std::move(options)),
      environment_(environment),
      fsm_(fsm),
      logger_(environment.logger),
      engine_(options_, environment, *this),
      applier_(fsm, environment.timers, *this),
      membership_(engine_, environment.timers),
      commands_total_(environment.metrics.counter("smackd_raft_commands_total", "Commands proposed here")),
      entries_total_(environment.metrics.counter("smackd_raft_entries_total", "Entries applied")),
      snapshots_total_(environment.metrics.counter("smackd_raft_snapshots_total", "Snapshots taken")),
      installs_total_(
          environment.metrics.counter("smackd_raft_snapshot_installs_total", "Snapshots installed")),
      elections_total_(
          environment.metrics.counter("smackd_raft_leaderships_total", "Times this server became leader")),
      applied_gauge_(environment.metrics.gauge("smackd_raft_applied_index", "Last applied index")) {}

RaftReplica::~RaftReplica() {
    *alive_ = false;
    environment_.timers.cancel(snapshot_retry_);
    environment_.timers.cancel(aside_retry_);
    environment_.timers.cancel(restore_timer_);
    if (started_ && !closed_) leave_transport();
}

core::Result<void> RaftReplica::bootstrap(const std::vector<Server>& servers) {
    return engine_.bootstrap(servers);
}

core::Result<void> RaftReplica::start() {
    TRY_ASSIGN(report_, engine_.open());
    for (const std::string& damaged : report_.damaged_snapshots)
        logger_.error("snapshot damaged, removed", {{"what", damaged}});
    TRY(prepare_state(report_));
    logger_.info("log read", {{"first", report_.log_first.value},
                              {"last", report_.log_last.value},
                              {"applied", fsm_.applied().value},
                              {"torn", report_.torn ? 1 : 0}});
    started_ = true;
    environment_.transport.set_receiver([this, alive = alive_](core::NodeId from, core::Bytes message) {
        if (*alive && !closed_) engine_.receive(from, message);
    });
    environment_.transport.set_lost([this, alive = alive_](core::NodeId peer) {
        if (*alive && !closed_) engine_.lost(peer);
    });
    TRY(engine_.start());
    for (const Server& server : engine_.servers())
        environment_.transport.set_address(server.id, server.address);
    check_snapshots();
    return {};
}

void RaftReplica::leave_transport() {
    environment_.transport.set_receiver([](core::NodeId, core::Bytes) {});
    environment_.transport.set_lost([](core::NodeId) {});
}

void RaftReplica::close(core::Callback<void()> done) {
    closed_ = true;
    leave_transport();
    environment_.timers.cancel(snapshot_retry_);
    environment_.timers.cancel(aside_retry_);
    environment_.timers.cancel(restore_timer_);
    snapshot_retry_ = aside_retry_ = restore_timer_ = 0;
    const core::Error cancelled{core::Errc::kCancelled, "this server is stopping", 0};
    proposals_.fail_all(cancelled);
    barriers_.fail_all(cancelled);
    membership_.fail_all(cancelled);
    engine_.close(std::move(done));
}

void RaftReplica::post(core::Callback<void()> work) {
    environment_.timers.start(core::Duration{0}, [alive = alive_, work = std::move(work)]() mutable {
        if (*alive) work();
    });
}

// ---- proposals ----

core::Error RaftReplica::not_leader() const {
    const core::NodeId leader = engine_.leader();
    if (leader.value == 0)
        return core::Error{core::Errc::kUnavailable, "there is no leader now", kNoLeaderRetryMs};
    return core::Error{core::Errc::kUnavailable, std::format("not the leader; server {} is", leader.value),
                       0};
}

core::Result<void> RaftReplica::may_propose(size_t bytes) const {
    if (closed_) return core::fail(core::Errc::kCancelled, "this server is stopping");
    if (bytes > kCommandBytesMax) {
        return core::fail(core::Errc::kInvalid, "command has {} bytes, the limit is {}", bytes,
                          kCommandBytesMax);
    }
    if (engine_.role() != ReplicaRole::kLeader) return std::unexpected(not_leader());
    if (auto refusal = trouble(); refusal) return std::unexpected(std::move(*refusal));
    return proposals_.admit(bytes);
}

/// Why this server cannot store or apply changes now.
std::optional<core::Error> RaftReplica::trouble() const {
    for (const auto& found : {engine_.disk_trouble(), applier_.trouble()}) {
        if (!found) continue;
        if (found->code != core::Errc::kDiskFull) {
            return core::Error{core::Errc::kUnavailable, "the leader cannot store changes: " + found->message,
                               0};
        }
        return core::Error{
            core::Errc::kDiskFull,
            std::format("the disk of the leader (server {}) is full: free space there", options_.self.value),
            0};
    }
    return std::nullopt;
}

void RaftReplica::propose(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) {
    auto allowed = may_propose(command.size());
    if (!allowed) {
        return post([done = std::move(done), error = std::move(allowed.error())]() mutable {
            done(std::unexpected(error));
        });
    }
    commands_total_.add();
    proposals_.wait(std::move(command), std::move(done));
    schedule_flush();
}

void RaftReplica::schedule_flush() {
    if (flush_due_ || closed_) return;
    flush_due_ = true;
    post([this] {
        flush_due_ = false;
        flush();
    });
}

/// Everything that waits goes into entries. Not before the no-op of this term is applied: until then the
/// times that earlier leaders stamped are not all known.
void RaftReplica::flush() {
    while (!closed_ && may_plan() && proposals_.may_send()) {
        stamped_ms_ = std::max(stamped_ms_, applier_.time_ms());
        const int64_t now = environment_.clock.wall().unix_ms;
        stamped_ms_ = SMACK_BUG("time_runs_backwards") ? now : std::max(stamped_ms_, now);
        auto payload = std::make_shared<const core::Bytes>(proposals_.next_group(stamped_ms_));
        const core::Term term = engine_.term();
        const size_t commands = proposals_.made();
        auto index = engine_.submit(EntryType::kCommand, std::move(payload));
        if (!index) return proposals_.unsent();
        proposals_.sent(*index, term);
        if (SMACK_BUG("ack_before_quorum"))
            proposals_.applied(*index, term, std::vector<core::Bytes>(commands));
    }
}

bool RaftReplica::may_plan() const {
    return engine_.role() == ReplicaRole::kLeader && engine_.term_start().value != 0 &&
           applier_.position() >= engine_.term_start();
}

// ---- barriers ----

void RaftReplica::barrier(Barriers::Done done) {
    if (closed_ || engine_.role() != ReplicaRole::kLeader) {
        auto error =
            closed_ ? core::Error{core::Errc::kCancelled, "this server is stopping", 0} : not_leader();
        return post([done = std::move(done), error]() mutable { done(std::unexpected(error)); });
    }
    if (SMACK_BUG("read_without_barrier")) {
        return post([done = std::move(done), index = applier_.position()]() mutable { done(index); });
    }
    const bool first = !barriers_.may_send();
    barriers_.wait(std::move(done));
    if (first && barriers_.may_send()) post([this] { send_barrier(); });
}

void RaftReplica::send_barrier() {
    if (closed_ || !barriers_.may_send()) return;
    const core::Term term = engine_.term();
    auto index = engine_.submit(EntryType::kBarrier, std::make_shared<const core::Bytes>(8, '\0'));
    if (!index) return barriers_.fail_all(not_leader());
    barriers_.sent(*index, term);
}

// ---- what the engine says ----

void RaftReplica::committed(const LogEntry& entry) {
    bytes_since_snapshot_ += record_bytes(entry);
    applier_.push(entry);
}

void RaftReplica::changed() {
    const bool leads = engine_.role() == ReplicaRole::kLeader;
    if (led_ && (!leads || engine_.term() != led_term_)) {
        proposals_.leadership_lost(engine_.commit_index(), not_leader());
        barriers_.fail_all(leadership_lost());
    }
    if (leads && (!led_ || engine_.term() != led_term_)) elections_total_.add();
    led_ = leads;
    led_term_ = engine_.term();
    step_aside();
    membership_.changed();
    observe();
}

void RaftReplica::alarm(std::string_view name, std::string message) {
    const auto found = alarms_.find(name);
    if (message.empty() ? found == alarms_.end() : found != alarms_.end() && found->second == message) return;
    if (message.empty()) {
        alarms_.erase(found);
    } else {
        alarms_[std::string(name)] = std::move(message);
    }
    observe();
}

void RaftReplica::observe() {
    if (observe_due_ || closed_) return;
    observe_due_ = true;
    post([this] {
        observe_due_ = false;
        if (observer_ && !closed_) observer_(status());
    });
}

/// A leader that cannot store or apply hands over, as long as another voter takes it: the others may be well.
void RaftReplica::step_aside() {
    const bool unable = led_ && !closed_ && (applier_.trouble() || engine_.disk_trouble());
    if (!unable || aside_retry_ != 0) return;
    aside_retry_ = environment_.timers.start(kStepAsideRetry, [this] {
        aside_retry_ = 0;
        if (!led_ || (!applier_.trouble() && !engine_.disk_trouble())) return;
        if (auto begun = engine_.transfer({}); !begun)
            logger_.debug("nobody to hand over to", {{"reason", begun.error().message}});
        step_aside();
    });
}

// ---- what the applier says ----

void RaftReplica::applied(const LogEntry& entry, std::vector<core::Bytes> results) {
    entries_total_.add();
    applied_gauge_.set(static_cast<int64_t>(entry.index.value));
    if (entry.type == EntryType::kConfiguration) configurations_[entry.index.value] = *entry.payload;
    proposals_.applied(entry.index, entry.term, std::move(results));
    membership_.applied(entry.index, entry.term);
    barriers_.applied(entry, leadership_lost());
    if (barriers_.may_send()) post([this] { send_barrier(); });
}

void RaftReplica::turn_over() {
    if (closed_) return;
    if (proposals_.waiting()) schedule_flush();
    if (led_ && applier_.position() == engine_.term_start()) observe();  // may plan from here on
    if (bytes_since_snapshot_ >= options_.snapshot_log_bytes || snapshot_wanted_) take_snapshot();
}

void RaftReplica::apply_refused(core::Index index, const core::Error* error) {
    if (error == nullptr) {
        stopped_line_.reset();
        alarm("apply_stopped", "");
        if (proposals_.waiting()) schedule_flush();
        return;
    }
    std::string advice = "; it is tried again every second";
    if (error->code == core::Errc::kDiskFull)
        advice = "; free space on the disk, it is tried again every second";
    if (error->code == core::Errc::kUnsupported) advice = "; install that version here and start again";
    if (error->code == core::Errc::kCorrupt) advice = "; it is rebuilt from the newest snapshot and the log";
    if (stopped_line_.due(error->to_string(), environment_.clock.now()))
        logger_.error("applying stopped", {{"index", index.value}, {"reason", error->to_string()}});
    step_aside();
    if (auto refusal = trouble(); refusal) proposals_.stalled(*refusal);
    if (error->code == core::Errc::kCorrupt) restore_later();
    alarm("apply_stopped",
          std::format("entry {} cannot be applied: {}{}", index.value, error->message, advice));
}

// ---- membership and status ----

void RaftReplica::add_server(Server server, core::Callback<void(core::Result<void>)> done) {
    membership_.add(server, std::move(done));
}
void RaftReplica::assign_role(core::NodeId id, ServerRole role,
                              core::Callback<void(core::Result<void>)> done) {
    membership_.assign(id, role, std::move(done));
}
void RaftReplica::remove_server(core::NodeId id, core::Callback<void(core::Result<void>)> done) {
    membership_.remove(id, std::move(done));
}
void RaftReplica::transfer_leadership(core::NodeId to, core::Callback<void(core::Result<void>)> done) {
    membership_.transfer(to, std::move(done));
}

ReplicaStatus RaftReplica::status() const {
    ReplicaStatus status;
    for (const auto& [name, message] : alarms_)
        status.alarms.push_back(Alarm{.name = name, .message = message});
    if (!started_) return status;
    status.role = engine_.role();
    status.term = engine_.term();
    status.epoch = engine_.epoch();
    status.recoveries = recoveries_of(status.epoch);
    status.leader = engine_.leader();
    status.last_index = engine_.last_index();
    status.commit_index = engine_.commit_index();
    status.applied_index = std::max(applier_.position(), fsm_.applied());
    status.since_leader_contact = engine_.since_leader_contact();
    status.may_plan = may_plan();
    status.servers = engine_.servers();
    status.silent = engine_.silent();
    return status;
}

}  // namespace smackd::storage
