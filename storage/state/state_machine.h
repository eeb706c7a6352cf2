// The replicated state: what libraft orders, applied to three SQLite files.
//
// One thread (consensus) calls everything here. Readers have connections of their own (reader.h) and learn of
// new revisions from the feed hub. Files, order of commits and durability are explained in
// storage/state/README.md.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "core/disk.h"
#include "core/executor.h"
#include "core/logger.h"
#include "core/metrics.h"
#include "storage/feed/hub.h"
#include "storage/fsm.h"
#include "storage/sqlite/vfs.h"
#include "storage/state/checkpointer.h"
#include "storage/state/command.h"
#include "storage/state/files.h"
#include "storage/state/writer.h"

namespace smackd::storage::state {

class PinnedState;

/// Counts the times the files were replaced; readers reopen when it moves. Any thread.
using Generation = std::atomic<uint64_t>;

/// Everything referred to outlives the machine, and the executor's running work.
struct StateOptions {
    std::string directory;  ///< made when absent; holds state.db, secrets.db and realm/realm.db
    core::Disk& disk;       ///< for names and folders; the same files that `vfs` sees
    sqlite::Vfs& vfs;
    feed::Hub& hub;  ///< told of each commit
    core::MetricRegistry& metrics;
    core::Logger logger;
    core::Executor* checkpoint_executor =
        nullptr;  ///< nullptr: checkpoints run inside commit(), as in the simulator
    uint64_t checkpoint_bytes = 4 * 1024 * 1024;  ///< size of a WAL that calls for a checkpoint
    uint64_t checkpoint_bytes_max =
        64 * 1024 * 1024;  ///< from here on commit() does it itself, so that the WAL restarts
    uint32_t feature_level_max = kFeatureLevelMax;  ///< lower only in tests that play an older version
    Retention retention = {};                       ///< other values only in tests
    bool set_damaged_aside = true;                  ///< else open() fails with kCorrupt
};

class StateMachine final : public Fsm {
 public:
    /// Opens or makes the files. Damaged ones are renamed to *.damaged and an empty state takes their place:
    /// then applied() is 0, damage() says what was found, and the replica has to bring the state back from a
    /// snapshot or the log. kUnsupported: the state is of a newer version.
    static core::Result<std::unique_ptr<StateMachine>> open(StateOptions options);
    ~StateMachine() override;

    core::Result<std::vector<core::Bytes>> apply(core::Index index, core::Term term,
                                                 const std::vector<core::BytesView>& commands) override;
    core::Result<void> commit() override;
    core::Index applied() const override;
    uint32_t feature_level_max() const override { return options_.feature_level_max; }
    core::Result<SnapshotTask> begin_snapshot() override;
    /// The same for a backup, whatever the replica's snapshots do meanwhile. The task may outlive the
    /// machine, not disk and vfs. kBusy while a file is ahead of state.db after a crash.
    core::Result<SnapshotTask> begin_backup();
    core::Result<void> install_snapshot(const std::string& directory) override;
    core::Result<void> check_integrity() override;

    /// The committed revision and feature level.
    core::Revision revision() const;
    uint32_t feature_level() const;
    /// What open() found damaged; empty when all was well.
    const std::string& damage() const { return damage_; }
    /// Gives up the files (as *.damaged) and starts from nothing; for damage that shows while running.
    core::Result<void> reset() override;
    /// A hash over every replicated row of the three files, for comparing servers at the same applied index.
    /// kBusy while a file is ahead of state.db after a crash.
    core::Result<std::string> digest();
    /// For StateReader.
    const std::shared_ptr<Generation>& generation() const { return generation_; }

 private:
    explicit StateMachine(StateOptions options);
    core::Result<void> reopen();
    /// kIo with the reason while the files are closed after an interrupted install.
    core::Result<void> ensure_open();
    void close_files();
    core::Result<std::vector<core::Bytes>> apply_all(core::Index index, core::Term term,
                                                     const std::vector<core::BytesView>& commands);
    core::Result<std::shared_ptr<PinnedState>> pin();
    SnapshotTask copy_task(std::shared_ptr<PinnedState> pinned) const;
    void checkpoint_if_due();
    void note_checkpoint(const core::Result<void>& result);
    void update_gauges();

    StateOptions options_;
    StateFiles paths_;
    CommandRules rules_;
    std::unique_ptr<OpenFiles> files_;
    std::unique_ptr<Writer> writer_;  // over files_
    std::shared_ptr<Checkpointer> checkpointer_;
    std::shared_ptr<Generation> generation_ = std::make_shared<Generation>(1);
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks of the executor
    std::weak_ptr<void> snapshot_;                                // lives while a task does
    bool checkpoint_running_ = false;
    uint64_t next_checkpoint_bytes_ = 0;
    std::string damage_;
    std::optional<core::Error> found_damage_;  // by a checkpoint since the files were opened
    core::Counter& commands_total_;
    core::Counter& stops_total_;
    core::Counter& checkpoint_failures_total_;
    core::Gauge& revision_gauge_;
    core::Gauge& wal_bytes_gauge_;
};

}  // namespace smackd::storage::state
