#include "storage/raft/engine.h"

#include <format>

#include "core/assert.h"
#include "core/planted.h"
#include "storage/log/folder.h"
#include "storage/raft/configuration.h"
#include "storage/raft/snapshot_fetch.h"

namespace smackd::storage {
namespace {

constexpr uint64_t kEarlyElectionSpreadMs = 100;

}  // namespace

Engine::Engine(const ReplicaOptions& options, const ReplicaEnvironment& environment, EngineEvents& events)
    : options_(options),
      environment_(environment),
      events_(events),
      logger_(environment.logger),
      snapshots_(environment.disk, options.directory + "/snapshots") {}

Engine::~Engine() {
    *alive_ = false;
    running_ = false;
    environment_.timers.cancel(timer_);
    if (installing_) raft_configuration_close(&installing_configuration_);
    if (raft_made_) raft_close(&raft_, nullptr);
}

std::string Engine::path(std::string_view name) const {
    return std::format("{}/{}", options_.directory, name);
}

core::Result<EngineReport> Engine::open() {
    EngineReport report;
    TRY(make_durable_directory(environment_.disk, options_.directory));
    TRY_ASSIGN(metadata_, MetadataStore::open(environment_.disk, path("meta")));
    if (metadata_->healed()) logger_.warning("one copy of term and vote was damaged and has been healed");
    TRY(snapshots_.open(report.damaged_snapshots));
    opened_ = LogContents{};
    TRY_ASSIGN(log_, Log::open(environment_.disk, path("log"), options_.segment_bytes, opened_));
    TRY(reconcile(opened_));
    // The power may have failed between the first configuration and what note_voters() stores.
    for (const LogEntry& entry : opened_.entries)
        if (metadata_->value().voters == 0) TRY(note_voters(entry));
    report.log_first = opened_.first;
    report.log_last = core::Index{opened_.first.value + opened_.entries.size() - 1};
    report.torn = opened_.torn;
    return report;
}

/// Brings log, snapshots and metadata in line, or finds that something acknowledged is missing.
core::Result<void> Engine::reconcile(LogContents& contents) {
    if (contents.damage) {
        TRY(admit_damage(*contents.damage));
        TRY(log_->repair());
    }
    const core::Term last_term = contents.entries.empty() ? core::Term{} : contents.entries.back().term;
    if (last_term > metadata_->value().term) {
        return core::fail(
            core::Errc::kCorrupt,
            "{}: term {} is older than the log's {}: the file was lost or replaced; this server could "
            "vote twice and will not start: remove it from the cluster and join it anew",
            path("meta"), metadata_->value().term.value, last_term.value);
    }
    const auto& snapshots = snapshots_.list();
    if (snapshots.empty()) {
        const bool starts_at_one =
            contents.first.value == 1 &&
            (contents.entries.empty() || contents.entries.front().type == EntryType::kConfiguration);
        const bool blank = contents.entries.empty() && metadata_->value().voters == 0;
        if (blank || (starts_at_one && !contents.entries.empty())) return {};
        // Emptied because of damage and not refilled yet.
        const bool awaits = contents.entries.empty() && contents.first.value == 1 && damage_term().value != 0;
        if (awaits) return {};
        return discard_everything(
            "the log does not begin at its first entry and there is no snapshot before it");
    }
    const wire::SnapshotManifest& newest = snapshots.front();
    const core::Index last{contents.first.value + contents.entries.size() - 1};
    if (contents.first.value > newest.index() + 1) {
        return discard_everything("entries between the newest snapshot and the log are missing");
    }
    const bool joins = newest.index() + 1 == contents.first.value ||
                       (newest.index() <= last.value &&
                        contents.entries[newest.index() - contents.first.value].term.value == newest.term());
    if (!joins) {
        // A snapshot that was installed just before a crash: the log it replaces goes now.
        TRY(log_->reset(core::Index{newest.index() + 1}));
        contents.entries.clear();
        contents.first = core::Index{newest.index() + 1};
    }
    return {};
}

/// Entries that were acknowledged may be gone: sole voters refuse, others forget to vote until they are
/// refilled.
core::Result<void> Engine::admit_damage(const LogDamage& damage) {
    const std::string what = std::format("{} of the log may be lost ({})", damage.range(), damage.what);
    if (metadata_->value().voters <= 1) {
        return core::fail(
            core::Errc::kCorrupt,
            "{}; no other server has them: restore a backup, or accept the loss by `smackd recover`", what);
    }
    logger_.error("log damaged; not voting until the other servers have refilled it", {{"lost", what}});
    events_.alarm("log_damaged", what + "; this server does not vote until the others have refilled it");
    Metadata next = metadata_->value();
    // A new term deposes a leader that counted what is lost here; entries of later terms prove it complete
    // again.
    next.damage_term = std::max(next.damage_term, next.term);
    next.term = next.term.next();
    next.vote = {};
    if (SMACK_BUG("damaged_log_keeps_voting")) next.damage_term = {};
    return write_metadata(next);
}

core::Result<void> Engine::discard_everything(const std::string& why) {
    TRY(admit_damage(LogDamage{.first = {1}, .last = {}, .what = why}));
    while (!snapshots_.list().empty()) TRY(snapshots_.prune(0));
    TRY(log_->reset(core::Index{1}));
    opened_.entries.clear();
    opened_.first = core::Index{1};
    return {};
}

core::Result<void> Engine::bootstrap(const std::vector<Server>& servers) {
    TRY(open());
    const bool empty =
        metadata_->value() == Metadata{} && opened_.entries.empty() && snapshots_.list().empty();
    if (!empty) return core::fail(core::Errc::kConflict, "{} holds a log already", options_.directory);
    TRY_ASSIGN(core::Bytes payload, encode_configuration(servers));
    Metadata first;
    first.term = core::Term{1};
    first.voters = count_voters(servers);
    TRY(write_metadata(first));
    const LogEntry entry{.index = {1},
                         .term = {1},
                         .type = EntryType::kConfiguration,
                         .payload = std::make_shared<const core::Bytes>(std::move(payload))};
    TRY(log_->append(std::span(&entry, 1)));
    opened_.entries = {entry};
    opened_.first = core::Index{1};
    return {};
}

core::Result<void> Engine::write_metadata(Metadata next) {
    if (next == metadata_->value()) return {};
    return metadata_->write(next);
}

core::Result<void> Engine::start() {
    SMACK_ASSERT(metadata_ && log_ && !raft_made_);
    writer_ = std::make_unique<LogWriter>(
        log_, environment_.log_executor, environment_.timers,
        LogWriter::Events{.done = [this](const LogWrite& write) { written(write); },
                          .condition =
                              [this](const core::Error* error) {
                                  events_.alarm("log_write", error == nullptr ? "" : error->message);
                                  events_.changed();
                              }});
    fetch_ = std::make_unique<SnapshotFetch>(
        snapshots_, environment_.snapshot_executor, environment_.timers, logger_,
        SnapshotFetch::Events{
            .send = [this](core::NodeId to, const wire::RaftMessage& message) { send(to, message); },
            .ready = [this](core::NodeId from, core::Term term, const wire::SnapshotManifest& manifest,
                            const std::string& folder) { install_fetched(from, term, manifest, folder); },
            .condition =
                [this](const core::Error* error) {
                    events_.alarm("snapshot_fetch", error == nullptr ? "" : error->message);
                }});
    if (damage_term().value != 0)
        events_.alarm("log_damaged", "not voting until the others have refilled the log");
    running_ = true;
    leader_contact_ = environment_.clock.now();
    load_raft(opened_);
    return {};
}

void Engine::load_raft(LogContents& contents) {
    const int made = raft_init(&raft_, nullptr, nullptr, options_.self.value, "self");
    SMACK_ASSERT(made == 0);
    raft_made_ = true;
    raft_.tracer = nullptr;  // it would format a line per event
    raft_seed(&raft_, static_cast<unsigned>(environment_.random.next()));
    raft_set_election_timeout(&raft_, static_cast<unsigned>(options_.election_timeout.count()));
    raft_set_heartbeat_timeout(&raft_, static_cast<unsigned>(options_.heartbeat.count()));
    raft_set_pre_vote(&raft_, true);
    raft_.now = now_ms();

    raft_snapshot_metadata snapshot{};
    Step first;
    first.event.type = RAFT_START;
    first.event.start.term = metadata_->value().term.value;
    first.event.start.voted_for = metadata_->value().vote.value;
    if (!snapshots_.list().empty()) {
        const wire::SnapshotManifest& newest = snapshots_.list().front();
        snapshot.index = newest.index();
        snapshot.term = newest.term();
        snapshot.configuration_index = newest.configuration_index();
        auto servers = decode_configuration(newest.configuration());
        SMACK_ASSERT(servers && to_raft(*servers, snapshot.configuration));
        first.event.start.metadata = &snapshot;
    }
    // libraft keeps the term of each entry, not the entries.
    const core::Term before =
        contents.first.value == snapshot.index + 1 ? core::Term{snapshot.term} : core::Term{};
    memory_.restore(core::Index{contents.first.value - 1}, before);
    // All of the log is delivered again, what is below the snapshot too: the state may have gone back to
    // before it.
    delivered_ = core::Index{contents.first.value - 1};
    if (SMACK_BUG("replay_from_snapshot_only")) delivered_ = core::Index{snapshot.index};
    for (LogEntry& entry : contents.entries) memory_.append(std::move(entry));
    contents.entries.clear();
    std::vector<raft_entry> array;
    std::vector<LogEntry> kept;
    for (core::Index i = memory_.first(); i <= memory_.last(); i = i.next()) {
        const LogEntry& entry = memory_.get(i);
        void* base = const_cast<char*>(entry.payload->data());
        array.push_back(raft_entry{.term = entry.term.value,
                                   .type = static_cast<raft_entry_type>(entry.type),
                                   .buf = {.base = base, .len = entry.payload->size()},
                                   .batch = base});
    }
    first.event.start.start_index = memory_.first().value;
    first.event.start.entries = array.data();
    first.event.start.n_entries = static_cast<unsigned>(array.size());
    if (step(first) != 0) fail("libraft refuses what the disk holds");
}

void Engine::close(core::Callback<void()> done) {
    running_ = false;
    environment_.timers.cancel(timer_);
    timer_ = 0;
    // Executors run in order: once both have passed an empty job, none of ours is left.
    auto last = std::make_shared<core::Callback<void()>>(std::move(done));
    auto& snapshot_executor = environment_.snapshot_executor;
    environment_.log_executor.submit(
        [] {}, [last, &snapshot_executor] { snapshot_executor.submit([] {}, [last] { (*last)(); }); });
}

ReplicaRole Engine::role() const {
    if (!running_ || failed_ || !raft_made_) return ReplicaRole::kUnavailable;
    if (raft_.state == RAFT_LEADER) return ReplicaRole::kLeader;
    return raft_.state == RAFT_CANDIDATE ? ReplicaRole::kCandidate : ReplicaRole::kFollower;
}

core::NodeId Engine::leader() const {
    if (!running_ || failed_) return {};
    if (raft_.state == RAFT_LEADER) return options_.self;
    if (raft_.state == RAFT_FOLLOWER) return core::NodeId{raft_.follower_state.current_leader.id};
    return {};
}

core::Duration Engine::since_leader_contact() const {
    if (role() == ReplicaRole::kLeader) return core::Duration{0};
    return environment_.clock.now() - leader_contact_;
}

std::vector<Server> Engine::from_configuration() const {
    return from_raft(raft_.configuration);
}

raft_time Engine::now_ms() const {
    return static_cast<raft_time>(environment_.clock.now().since_start / core::milliseconds{1});
}

void Engine::fail(const std::string& why) {
    failed_ = true;
    environment_.timers.cancel(timer_);
    timer_ = 0;
    logger_.error("consensus stopped", {{"reason", why}});
    events_.alarm("consensus_stopped", why + "; restart this server and report the log");
    events_.changed();
}

void Engine::schedule_timer() {
    if (!running_ || failed_) return;
    const raft_time at = raft_timeout(&raft_);
    if (timer_ != 0 && timer_at_ <= at) return;  // fires early and looks again
    environment_.timers.cancel(timer_);
    const raft_time now = now_ms();
    timer_at_ = at;
    const core::milliseconds wait{at > now ? static_cast<int64_t>(at - now) : 0};
    timer_ = environment_.timers.start(wait, [this] {
        timer_ = 0;
        on_timer();
    });
}

/// A standby stays follower when its leader is silent, and libraft leaves it that leader for ever: it would
/// refuse its vote to everybody, who may need it under a newer configuration.
void Engine::forget_leader() {
    auto& leader = raft_.follower_state.current_leader;
    raft_free(leader.address);
    leader.address = nullptr;
    leader.id = 0;
    follow_role();
}

/// The others have lost it as well, or refuse the pre-vote; the draw keeps them apart.
void Engine::lost(core::NodeId peer) {
    if (!running_ || failed_ || raft_.state != RAFT_FOLLOWER || leader() != peer) return;
    forget_leader();
    const raft_time due = now_ms() + environment_.random.below(kEarlyElectionSpreadMs);
    const raft_time timeout = raft_.follower_state.randomized_election_timeout;
    if (due < timeout || due - timeout >= raft_.election_timer_start) return;  // it comes sooner anyway
    raft_.election_timer_start = due - timeout;
    schedule_timer();
}

void Engine::on_timer() {
    if (!running_ || failed_) return;
    // A server that may have lost what it acknowledged must not stand for election.
    const bool mute = damage_term().value != 0 && raft_.state == RAFT_FOLLOWER;
    if (mute) {
        timer_at_ = now_ms() + static_cast<raft_time>(options_.election_timeout.count());
        timer_ = environment_.timers.start(options_.election_timeout, [this] {
            timer_ = 0;
            on_timer();
        });
        return;
    }
    if (now_ms() >= raft_timeout(&raft_)) {
        look_for_quorum_now();
        const bool followed = raft_.state == RAFT_FOLLOWER;
        const bool led = raft_.state == RAFT_LEADER;
        Step timeout;
        timeout.event.type = RAFT_TIMEOUT;
        if (step(timeout) != 0) return fail("libraft fails at a timeout");
        const bool stays = followed && raft_.state == RAFT_FOLLOWER;
        if (stays && !SMACK_BUG("standby_keeps_leader")) forget_leader();
        if (led && raft_.state == RAFT_FOLLOWER) tell_step_down();
    }
    watch_silence();
    schedule_timer();
}

/// libraft steps down when a majority has been silent for an election timeout, and that for another one. The
/// second only helps a leader that has just begun.
void Engine::look_for_quorum_now() {
    const bool begun = environment_.clock.now() - leads_since_ < options_.election_timeout;
    if (raft_.state != RAFT_LEADER || begun) return;
    raft_.election_timer_start = now_ms() - static_cast<raft_time>(options_.election_timeout.count());
}

void Engine::watch_silence() {
    std::vector<core::NodeId> silent;
    if (raft_.state == RAFT_LEADER) {
        const core::Instant now = environment_.clock.now();
        for (unsigned i = 0; i < raft_.configuration.n; ++i) {
            const core::NodeId server{raft_.configuration.servers[i].id};
            const auto found = heard_.find(server.value);
            const core::Instant heard =
                found == heard_.end() ? leads_since_ : std::max(found->second, leads_since_);
            if (server != options_.self && now - heard >= options_.silent_after) silent.push_back(server);
        }
    }
    if (silent == silent_) return;
    silent_ = std::move(silent);
    events_.changed();
}

/// Some may hear this leader still though it does not hear them (a cut in one direction). Behind what they
/// have not acknowledged, the message may be stuck in its connection; the end of theirs is not.
void Engine::tell_step_down() {
    wire::RaftMessage message;
    message.mutable_step_down()->set_term(term().value);
    for (const Server& server : from_configuration()) {
        if (server.id == options_.self) continue;
        send(server.id, message);
        environment_.transport.break_off(server.id);
    }
}

/// Ongaro's rule (4.2.3): nobody helps to replace a leader that was heard within the least election timeout.
/// libraft waits for this server's own timeout, which is up to twice as long. A heartbeat less, since the
/// candidate may have heard the leader's last one earlier.
bool Engine::may_elect_another() const {
    return raft_.state == RAFT_FOLLOWER && leader().value != 0 &&
           since_leader_contact() >= options_.election_timeout - options_.heartbeat;
}

core::Result<core::Index> Engine::submit(EntryType type, std::shared_ptr<const core::Bytes> payload) {
    if (role() != ReplicaRole::kLeader || raft_.leader_state.transferee != 0) {
        return core::fail(core::Errc::kUnavailable, "this server is not the leader");
    }
    const LogEntry entry{
        .index = memory_.last().next(), .term = term(), .type = type, .payload = std::move(payload)};
    void* base = const_cast<char*>(entry.payload->data());
    raft_entry array{.term = entry.term.value,
                     .type = static_cast<raft_entry_type>(type),
                     .buf = {.base = base, .len = entry.payload->size()},
                     .batch = base};
    Step submission;
    submission.event.type = RAFT_SUBMIT;
    submission.event.submit.entries = &array;
    submission.event.submit.n = 1;
    submission.entries = std::span(&entry, 1);
    submission.array = &array;
    switch (step(submission)) {
        case 0:
            return entry.index;
        case RAFT_CANTCHANGE: {
            return std::unexpected(
                core::Error{core::Errc::kBusy, "another change of the membership is under way", 500});
        }
        default:
            return core::fail(core::Errc::kUnavailable, "this server is not the leader");
    }
}

core::Result<core::Index> Engine::submit_configuration(const std::vector<Server>& servers) {
    TRY_ASSIGN(core::Bytes payload, encode_configuration(servers));
    return submit(EntryType::kConfiguration, std::make_shared<const core::Bytes>(std::move(payload)));
}

bool Engine::up_to_date(core::NodeId id) const {
    raft_index match = 0;
    return raft_match_index(&raft_, id.value, &match) == 0 && match == memory_.last().value;
}

core::Result<void> Engine::begin_catch_up(core::NodeId id) {
    if (role() != ReplicaRole::kLeader || raft_.leader_state.transferee != 0) {
        return core::fail(core::Errc::kUnavailable, "this server is not the leader");
    }
    if (raft_.configuration_uncommitted_index != 0 || raft_.leader_state.promotee_id != 0) {
        return std::unexpected(
            core::Error{core::Errc::kBusy, "another change of the membership is under way", 500});
    }
    Step catching;
    catching.event.type = RAFT_CATCH_UP;
    catching.event.catch_up.server_id = id.value;
    if (step(catching) != 0) return core::fail(core::Errc::kUnavailable, "this server is not the leader");
    return {};
}

Engine::CatchUp Engine::catch_up(core::NodeId id) const {
    int status = RAFT_CATCH_UP_NONE;
    if (raft_catch_up(&raft_, id.value, &status) != 0) return CatchUp::kAborted;
    switch (status) {
        case RAFT_CATCH_UP_RUNNING:
            return CatchUp::kRunning;
        case RAFT_CATCH_UP_ABORTED:
            return CatchUp::kAborted;
        case RAFT_CATCH_UP_FINISHED:
            return CatchUp::kFinished;
        default:
            return CatchUp::kNone;
    }
}

core::Result<void> Engine::transfer(core::NodeId to) {
    if (role() != ReplicaRole::kLeader)
        return core::fail(core::Errc::kUnavailable, "this server is not the leader");
    Step handing;
    handing.event.type = RAFT_TRANSFER;
    handing.event.transfer.server_id = to.value;
    switch (step(handing)) {
        case 0:
            return {};
        case RAFT_NOTLEADER:
            return core::fail(core::Errc::kBusy, "leadership is being handed over already");
        case RAFT_NOTFOUND:
            return core::fail(core::Errc::kNotFound, "there is no other voter to hand over to");
        default:
            return core::fail(core::Errc::kInvalid, "server {} is not another voter", to.value);
    }
}

bool Engine::may_snapshot(core::Index index) const {
    return running_ && !failed_ && !installing_ && !raft_.snapshot.installing && !fetch_->active() &&
           index.value > raft_.trail.snapshot.index && memory_.term_of(index).value != 0 &&
           index <= commit_index();
}

bool Engine::may_replace_snapshot(core::Index index) const {
    return running_ && !failed_ && !installing_ && !raft_.snapshot.installing && !fetch_->active() &&
           index.value == raft_.trail.snapshot.index && memory_.term_of(index).value != 0;
}

void Engine::snapshot_taken(const wire::SnapshotManifest& manifest) {
    const core::Index index{manifest.index()};
    snapshots_.adopt(manifest);
    // Pruning may fail on a bad disk; the old folder is then removed with the next one.
    if (auto pruned = snapshots_.prune(2); !pruned)
        logger_.warning("old snapshot stays", {{"reason", pruned.error().message}});
    if (!may_snapshot(index)) return;
    // In memory some entries before the snapshot are kept, for followers that are a little behind, and all
    // that are still being written.
    core::Index cut = index;
    uint64_t kept = 0;
    const uint64_t stored = raft_.last_stored;  // others may have committed what is not on this disk yet
    while (memory_.contains(cut) && (kept < options_.snapshot_log_bytes / 4 || cut.value > stored)) {
        kept += record_bytes(memory_.get(cut));
        cut = core::Index{cut.value - 1};
    }
    if (SMACK_BUG("cut_memory_above_snapshot")) cut = index;
    Step taken;
    taken.event.type = RAFT_SNAPSHOT;
    taken.event.snapshot.metadata.index = index.value;
    taken.event.snapshot.metadata.term = manifest.term();
    taken.event.snapshot.metadata.configuration_index = manifest.configuration_index();
    auto servers = decode_configuration(manifest.configuration());
    SMACK_ASSERT(servers && to_raft(*servers, taken.event.snapshot.metadata.configuration));
    const bool cuts = memory_.contains(cut);
    taken.event.snapshot.trailing = static_cast<unsigned>(cuts ? index.value - cut.value : index.value);
    if (step(taken) != 0) return fail("libraft refuses a snapshot");
    if (cuts) memory_.cut_prefix(cut);
    // On disk the log reaches back to the older snapshot: the newer one may turn out damaged.
    if (snapshots_.list().size() < 2) return;
    LogWrite write;
    write.kind = LogWrite::Kind::kCut;
    write.index = core::Index{snapshots_.list().back().index()};
    if (SMACK_BUG("cut_log_above_snapshot")) write.index = index.next();
    writer_->submit(std::move(write));
}

}  // namespace smackd::storage
