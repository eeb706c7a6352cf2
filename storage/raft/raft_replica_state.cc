// What the replica does for its state machine: snapshots in, snapshots out, and a damaged state brought back.
#include <format>

#include "storage/raft/raft_replica.h"

namespace smackd::storage {
namespace {

constexpr core::milliseconds kSnapshotRetry{5000};

}  // namespace

// ---- at start ----

/// The state machine must reach at least to where the log begins; a snapshot fills the gap.
core::Result<void> RaftReplica::prepare_state(const EngineReport& report) {
    for (const wire::SnapshotManifest& manifest : engine_.snapshots().list()) {
        applier_.raise_time(manifest.time_ms());
        if (fsm_.applied().next() >= report.log_first) continue;
        if (manifest.index() + 1 < report.log_first.value) break;
        auto installed = install_own(manifest);
        if (installed) continue;
        // Only damage is a reason to look further: a full disk or an old version is to be mended, not worked
        // around.
        const core::Errc code = installed.error().code;
        const bool damaged = code == core::Errc::kCorrupt || code == core::Errc::kNotFound;
        if (!damaged) return core::pass(std::move(installed), "snapshot");
        logger_.error("snapshot cannot be used",
                      {{"index", manifest.index()}, {"reason", installed.error().message}});
    }
    if (fsm_.applied().next() < report.log_first) {
        TRY(engine_.discard_everything(
            std::format("the state ends at entry {}, the log begins at {} and no snapshot fills the gap",
                        fsm_.applied().value, report.log_first.value)));
    }
    for (const wire::SnapshotManifest& manifest : engine_.snapshots().list()) {
        configurations_[manifest.configuration_index()] = manifest.configuration();
    }
    if (!engine_.snapshots().list().empty()) applier_.restart_behind(core::Index{report.log_first.value - 1});
    return {};
}

/// Puts a snapshot that is in the store in the state's place. Copies on the calling thread.
core::Result<void> RaftReplica::install_own(const wire::SnapshotManifest& manifest) {
    TRY_ASSIGN(const std::string folder, engine_.snapshots().copy_for_install(manifest));
    return fsm_.install_snapshot(folder);
}

/// Snapshots are read once after a start: damage shows now, and not when they are needed.
void RaftReplica::check_snapshots() {
    struct Check {
        std::vector<wire::SnapshotManifest> manifests;
        std::vector<std::string> damaged;
    };
    auto check = std::make_shared<Check>();
    check->manifests = engine_.snapshots().list();
    environment_.snapshot_executor.submit(
        [check, &store = engine_.snapshots()] {
            for (const wire::SnapshotManifest& manifest : check->manifests) {
                auto sound = store.verify(manifest);
                // A folder that is gone was pruned meanwhile.
                if (!sound && sound.error().code == core::Errc::kCorrupt)
                    check->damaged.push_back(sound.error().message);
            }
        },
        [this, check, alive = alive_] {
            if (!*alive || closed_) return;
            for (const std::string& what : check->damaged) snapshot_lost(what);
        });
}

// ---- snapshots from the leader ----

void RaftReplica::snapshot_installed(const wire::SnapshotManifest& manifest, const std::string& folder) {
    const core::Index index{manifest.index()};
    const bool again = awaited_ && awaited_->index() == manifest.index();
    if (!again) installs_total_.add();
    if (index > fsm_.applied()) {
        auto installed = fsm_.install_snapshot(folder);
        if (!installed) return await_install(manifest, installed.error());
    }
    awaited_.reset();
    restore_line_.reset();
    alarm("state_install", "");
    alarm("snapshot_failed", "");  // there is a newer one now
    configurations_.clear();
    configurations_[manifest.configuration_index()] = manifest.configuration();
    bytes_since_snapshot_ = 0;
    applier_.raise_time(manifest.time_ms());
    applier_.restart_behind(index);
    proposals_.overtaken(index);
    observe();
}

/// The snapshot was verified, so the disk refuses, or has damaged it since. Until it is in place nothing may
/// be applied to the old state.
void RaftReplica::await_install(const wire::SnapshotManifest& manifest, const core::Error& error) {
    awaited_ = manifest;
    restore_failed("snapshot not in place", core::Index{manifest.index()}, error);
    alarm("state_install", error.message + (error.code == core::Errc::kCorrupt
                                                ? "; restart this server: the others then refill it"
                                                : "; it is tried again every second"));
    applier_.stop(error);
    restore_later();
}

// ---- bringing back the state ----

void RaftReplica::restore_failed(std::string_view what, core::Index from, const core::Error& error) {
    if (restore_line_.due(error.to_string(), environment_.clock.now()))
        logger_.error(what, {{"index", from.value}, {"reason", error.to_string()}});
}

void RaftReplica::restore_later() {
    if (restore_timer_ != 0) return;
    restore_timer_ = environment_.timers.start(kApplyRetry, [this] {
        restore_timer_ = 0;
        restore_state();
    });
}

/// A snapshot of the leader still has to take the state's place, or the databases turned out damaged while in
/// use. Done on the loop: this server is of no use before.
void RaftReplica::restore_state() {
    if (closed_) return;
    if (awaited_) {
        const wire::SnapshotManifest manifest = *awaited_;
        auto folder = engine_.snapshots().copy_for_install(manifest);
        return folder ? snapshot_installed(manifest, *folder) : await_install(manifest, folder.error());
    }
    if (!applier_.trouble() || applier_.trouble()->code != core::Errc::kCorrupt) return;
    if (rebuild_state()) return restore_line_.reset();
    restore_later();
}

/// The newest snapshot replaces a damaged state, or nothing where the log reaches back to its first entry;
/// what comes after is applied again. False when it has to be tried again.
bool RaftReplica::rebuild_state() {
    const auto& snapshots = engine_.snapshots().list();
    const core::Index index{snapshots.empty() ? 0 : snapshots.front().index()};
    auto rebuilt = snapshots.empty() ? fsm_.reset() : install_own(snapshots.front());
    if (!rebuilt) {
        restore_failed("the state cannot be rebuilt yet", index, rebuilt.error());
        return false;
    }
    logger_.warning("the state was damaged and is rebuilt", {{"from", index.value}});
    applier_.replay_behind(index);
    if (engine_.deliver_again(index)) return true;
    applier_.stop(core::Error{core::Errc::kCorrupt, "the log behind the newest snapshot is not at hand", 0});
    return false;
}

// ---- taking snapshots ----

void RaftReplica::snapshot_lost(const std::string& what) {
    logger_.error("snapshot damaged, a new one will be taken", {{"what", what}});
    alarm("snapshot_damaged", what + "; a new one is being taken");
    snapshot_wanted_ = true;
    take_snapshot();
}

struct RaftReplica::SnapshotJob {
    SnapshotTask task;
    wire::SnapshotManifest manifest;
    core::Result<void> outcome;
};

void RaftReplica::take_snapshot() {
    const core::Index index = fsm_.applied();
    if (snapshotting_ || closed_ || snapshot_retry_ != 0 || applier_.position() < index) return;
    const bool replaces = snapshot_wanted_ && engine_.may_replace_snapshot(index);
    if (!replaces && !engine_.may_snapshot(index)) return;
    auto task = fsm_.begin_snapshot();
    if (!task) {
        // A file that is ahead of the others after a full disk is no failure: the next turn of applying asks
        // again.
        if (task.error().code != core::Errc::kBusy) snapshot_failed(task.error());
        return;
    }
    auto job = std::make_shared<SnapshotJob>();
    job->task = std::move(*task);
    job->manifest.set_index(job->task.index.value);
    job->manifest.set_term(engine_.term_of(job->task.index).value);
    job->manifest.set_time_ms(applier_.time_ms());
    const auto configuration = std::prev(configurations_.upper_bound(index.value));
    job->manifest.set_configuration_index(configuration->first);
    job->manifest.set_configuration(configuration->second);
    snapshotting_ = true;
    snapshot_wanted_ = false;
    environment_.snapshot_executor.submit(
        [job, &store = engine_.snapshots()] {
            job->outcome = [&]() -> core::Result<void> {
                TRY_ASSIGN(const std::string folder, store.begin_taking());
                TRY(job->task.copy(folder));
                TRY(store.finish_taking(job->manifest));
                return store.verify(job->manifest);
            }();
        },
        [this, job, alive = alive_] {
            if (*alive) snapshot_done(*job);
        });
}

void RaftReplica::snapshot_failed(const core::Error& error) {
    alarm("snapshot_failed", error.message + "; it is tried again");
    snapshot_retry_ = environment_.timers.start(kSnapshotRetry, [this] {
        snapshot_retry_ = 0;
        take_snapshot();
    });
}

void RaftReplica::snapshot_done(SnapshotJob& job) {
    snapshotting_ = false;
    if (closed_) return;
    if (!job.outcome) return snapshot_failed(job.outcome.error());
    alarm("snapshot_failed", "");
    alarm("snapshot_damaged", "");
    snapshots_total_.add();
    bytes_since_snapshot_ = 0;
    configurations_.erase(configurations_.begin(), configurations_.find(job.manifest.configuration_index()));
    engine_.snapshot_taken(job.manifest);
}

}  // namespace smackd::storage
