#include "storage/state/state_machine.h"

#include <array>
#include <utility>

#include "core/assert.h"
#include "storage/sqlite/page.h"
#include "storage/state/digest.h"
#include "storage/state/snapshot.h"

namespace smackd::storage::state {

StateMachine::StateMachine(StateOptions options)
    : options_(std::move(options)),
      paths_(options_.disk, options_.vfs, options_.directory),
      commands_total_(options_.metrics.counter("smackd_state_commands_total", "Commands applied or refused")),
      stops_total_(
          options_.metrics.counter("smackd_state_stops_total", "Times apply or commit could not go on")),
      checkpoint_failures_total_(
          options_.metrics.counter("smackd_state_checkpoint_failures_total", "Checkpoints that failed")),
      revision_gauge_(options_.metrics.gauge("smackd_state_revision", "Committed revision")),
      wal_bytes_gauge_(options_.metrics.gauge("smackd_state_wal_bytes", "Write-ahead log of state.db")) {
    static std::atomic<uint64_t> instances{0};
    rules_.feature_level_max = options_.feature_level_max;
    rules_.retention = options_.retention;
    rules_.skew_for_planted_bug = instances.fetch_add(1);
    checkpointer_ = std::make_shared<Checkpointer>(
        options_.vfs, std::vector{paths_.state_path(), paths_.realm_path(), paths_.secrets_path()});
}

StateMachine::~StateMachine() = default;

core::Result<std::unique_ptr<StateMachine>> StateMachine::open(StateOptions options) {
    std::unique_ptr<StateMachine> machine(new StateMachine(std::move(options)));
    auto opened = machine->reopen();
    if (!opened && opened.error().code == core::Errc::kCorrupt && machine->options_.set_damaged_aside) {
        machine->damage_ = opened.error().message;
        machine->options_.logger.error(
            "state is damaged and set aside; it comes back from a snapshot or the log",
            {{"damage", machine->damage_}, {"directory", machine->options_.directory}});
        opened = machine->reset();
    }
    if (!opened) return core::pass(std::move(opened), "state");
    return machine;
}

core::Result<void> StateMachine::reopen() {
    TRY_ASSIGN(OpenFiles files, paths_.open());
    if (files.position.feature_level > options_.feature_level_max) {
        return core::fail(
            core::Errc::kUnsupported,
            "{} is at feature level {}, this version knows {}: install a newer smackd on this server",
            options_.directory, files.position.feature_level, options_.feature_level_max);
    }
    files_ = std::make_unique<OpenFiles>(std::move(files));
    writer_ = std::make_unique<Writer>(*files_);
    found_damage_.reset();
    generation_->fetch_add(1);
    options_.hub.reset(files_->position.current(), files_->position.feed_floor);
    update_gauges();
    return {};
}

core::Result<void> StateMachine::ensure_open() {
    if (files_) return {};
    return reopen();
}

void StateMachine::close_files() {
    if (writer_) writer_->rollback();
    writer_.reset();
    files_.reset();
    checkpointer_->close();
}

core::Result<void> StateMachine::reset() {
    close_files();
    TRY(paths_.set_aside());
    return reopen();
}

// ---- applying ----

core::Result<std::vector<core::Bytes>> StateMachine::apply(core::Index index, core::Term term,
                                                           const std::vector<core::BytesView>& commands) {
    TRY(ensure_open());
    if (found_damage_) return std::unexpected(*found_damage_);
    auto results = apply_all(index, term, commands);
    if (results) return results;
    writer_->rollback();
    stops_total_.add();
    return core::pass(std::move(results), "apply");
}

core::Result<std::vector<core::Bytes>> StateMachine::apply_all(core::Index index, core::Term term,
                                                               const std::vector<core::BytesView>& commands) {
    TRY(writer_->begin_entry(index.value));
    std::vector<core::Bytes> results;
    results.reserve(commands.size());
    for (const core::BytesView command : commands) {
        TRY_ASSIGN(auto result, apply_command(*writer_, rules_, term, command));
        results.push_back(std::move(result));
    }
    commands_total_.add(commands.size());
    return results;
}

core::Result<void> StateMachine::commit() {
    TRY(ensure_open());
    if (!writer_->active()) return {};
    auto changes = writer_->commit();
    if (!changes) {
        stops_total_.add();
        return core::pass(std::move(changes), "commit");
    }
    options_.hub.publish(std::move(*changes), files_->position.current(), files_->position.feed_floor);
    update_gauges();
    checkpoint_if_due();
    return {};
}

core::Index StateMachine::applied() const {
    return core::Index{files_ ? files_->position.applied_index : 0};
}

core::Revision StateMachine::revision() const {
    return files_ ? files_->position.current() : core::Revision{};
}
uint32_t StateMachine::feature_level() const {
    return files_ ? files_->position.feature_level : 0;
}

void StateMachine::update_gauges() {
    revision_gauge_.set(static_cast<int64_t>(files_->position.revision));
    wal_bytes_gauge_.set(static_cast<int64_t>(files_->state.wal_frames() * sqlite::kWalFrameBytes));
}

// ---- checkpoints ----

void StateMachine::note_checkpoint(const core::Result<void>& result) {
    if (result) return;
    checkpoint_failures_total_.add();
    if (result.error().code == core::Errc::kCorrupt) {
        // What could not be copied could not be read: the next apply says so, instead of a log line alone.
        found_damage_ = result.error();
        return;
    }
    options_.logger.warning("checkpoint failed; the write-ahead log grows until one succeeds",
                            {{"error", result.error().to_string()}});
}

void StateMachine::checkpoint_if_due() {
    uint64_t frames = 0;
    for (sqlite::Database* database : {&files_->state, &files_->realm, &files_->secrets}) {
        frames = std::max(frames, database->wal_frames());
    }
    const uint64_t bytes = frames * sqlite::kWalFrameBytes;
    if (bytes < options_.checkpoint_bytes) next_checkpoint_bytes_ = options_.checkpoint_bytes;
    if (bytes < next_checkpoint_bytes_) return;
    // A reader may hold the WAL for long; trying again at each commit would only sync for nothing.
    next_checkpoint_bytes_ = bytes + options_.checkpoint_bytes / 4;
    // Under constant load a checkpoint elsewhere never reaches the end of the WAL; here nobody writes
    // meanwhile.
    if (options_.checkpoint_executor == nullptr || bytes >= options_.checkpoint_bytes_max) {
        note_checkpoint(checkpointer_->run());
        return;
    }
    if (checkpoint_running_) return;
    checkpoint_running_ = true;
    auto outcome = std::make_shared<core::Result<void>>();
    options_.checkpoint_executor->submit(
        [checkpointer = checkpointer_, outcome] { *outcome = checkpointer->run(); },
        [this, alive = std::weak_ptr<bool>(alive_), outcome] {
            if (alive.expired()) return;
            checkpoint_running_ = false;
            note_checkpoint(*outcome);
        });
}

// ---- snapshots ----

core::Result<std::shared_ptr<PinnedState>> StateMachine::pin() {
    TRY(ensure_open());
    const uint64_t index = files_->position.applied_index;
    if (files_->realm_applied > index || files_->secrets_applied > index) {
        return core::fail(core::Errc::kBusy,
                          "realm.db or secrets.db is ahead of state.db; wait until the log is replayed");
    }
    TRY_ASSIGN(auto pinned, PinnedState::pin(paths_));
    return std::make_shared<PinnedState>(std::move(pinned));
}

SnapshotTask StateMachine::copy_task(std::shared_ptr<PinnedState> pinned) const {
    SnapshotTask task;
    task.index = core::Index{files_->position.applied_index};
    task.copy = [pinned = std::move(pinned), &disk = options_.disk, &vfs = options_.vfs](
                    const std::string& directory) { return pinned->copy_to(disk, vfs, directory); };
    return task;
}

core::Result<SnapshotTask> StateMachine::begin_snapshot() {
    if (!snapshot_.expired()) return core::fail(core::Errc::kBusy, "a snapshot is being copied already");
    TRY_ASSIGN(auto pinned, pin());
    snapshot_ = pinned;
    return copy_task(std::move(pinned));
}

core::Result<SnapshotTask> StateMachine::begin_backup() {
    TRY_ASSIGN(auto pinned, pin());
    return copy_task(std::move(pinned));
}

core::Result<void> StateMachine::install_snapshot(const std::string& directory) {
    TRY_ASSIGN(const Position position, paths_.check_snapshot(directory));
    if (position.feature_level > options_.feature_level_max) {
        return core::fail(
            core::Errc::kUnsupported,
            "the snapshot is at feature level {}, this version knows {}: install a newer smackd on this "
            "server",
            position.feature_level, options_.feature_level_max);
    }
    close_files();
    TRY(paths_.install(directory));
    return reopen();
}

core::Result<void> StateMachine::check_integrity() {
    TRY(ensure_open());
    for (sqlite::Database* database : {&files_->realm, &files_->secrets, &files_->state}) {
        TRY(database->verify_structure());
        // A page that the WAL replaces may be torn in the main file; without a WAL all of them must be sound.
        auto emptied = database->checkpoint(true);
        if (emptied) TRY(database->verify_pages());
    }
    return {};
}

core::Result<std::string> StateMachine::digest() {
    TRY(ensure_open());
    SMACK_ASSERT(!writer_->active());
    if (files_->realm_applied > files_->position.applied_index ||
        files_->secrets_applied > files_->position.applied_index) {
        return core::fail(core::Errc::kBusy, "a file is ahead of state.db");
    }
    return digest_of(*files_);
}

}  // namespace smackd::storage::state
