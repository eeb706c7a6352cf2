// Backups of this server: those the API sends away, and the schedule's, which the leader makes into a folder.
//
// Everything runs on the API loop but the work: one thread copies, compresses and seals, one backup after the
// other. The consensus thread only begins read transactions. What the schedule did stands in the state
// (services::BackupRecord), so that whoever leads goes on from it and every server can tell.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "auth/sealing.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/node/consensus.h"
#include "core/metrics.h"
#include "net/scope.h"
#include "net/worker_pool.h"
#include "services/api/backup_door.h"
#include "services/backup/backup_writer.h"
#include "storage/state/reader.h"

namespace smackd::cmd {

inline constexpr size_t kBackupsWaitingMax = 8;
/// What a backup leaves free on the disk of the state, which must go on writing.
inline constexpr uint64_t kBackupSpareBytes = 64 * core::kMiB;

struct BackupsOptions {
    DataDirectory directory;
    NodeIdentity identity;
    services::BackupPlan plan;
    std::string version;
};

/// All outlive it.
struct BackupsEnvironment {
    net::Loop& loop;
    core::Disk& disk;
    storage::sqlite::Vfs& vfs;
    core::Clock& clock;
    const auth::SealKey& cluster_key;
    Consensus& consensus;
    storage::state::ReaderOptions reader;
    core::MetricRegistry& metrics;
    core::Logger logger;
    /// Pins the committed state; called on the consensus thread.
    core::Callback<core::Result<storage::SnapshotTask>()> pin;
};

class Backups final : public services::BackupDoor {
 public:
    Backups(BackupsOptions options, BackupsEnvironment environment);

    /// Starts the schedule, if there is one. On the loop.
    void begin();
    /// Work under way ends soon, with kCancelled. Any thread.
    void cancel() { cancelled_ = true; }
    /// Ends the schedule. On the loop, after cancel(). The object outlives the consensus thread's work.
    net::Task<void> close();

    net::Task<core::Result<services::OpenBackup>> make() override;
    net::Task<core::Result<std::vector<services::StoredBackup>>> list() override;
    const services::BackupPlan& plan() const override { return options_.plan; }

 private:
    /// The state at one moment, and the replica then.
    struct Pinned {
        storage::SnapshotTask task;
        storage::ReplicaStatus status;
    };
    net::Task<core::Result<Pinned>> pin();
    net::Task<void> run_schedule();
    net::Task<services::BackupRecord> read_record();
    net::Task<void> make_scheduled(services::BackupRecord record);
    net::Task<core::Result<void>> report(services::BackupRecord record);
    bool leads() const;
    void note(const services::BackupRecord& record);

    // On the worker.
    core::Result<services::WrittenBackup> write(Pinned pinned, const std::string& path);
    core::Result<void> check_space();
    core::Result<services::OpenBackup> write_and_open(Pinned pinned);
    core::Result<services::WrittenBackup> write_scheduled(Pinned pinned, const std::string& path);
    core::Result<void> remove_outdated();
    core::Result<std::vector<services::StoredBackup>> stored();

    const BackupsOptions options_;
    BackupsEnvironment environment_;
    const std::string work_;
    std::atomic<bool> cancelled_{false};
    storage::state::StateReader reader_;  // of the worker
    net::Scope scope_;
    net::WorkerPool pool_;  // last: nothing above may go before its thread has ended
    core::Counter& made_total_;
    core::Counter& failures_total_;
    core::Gauge& last_time_s_;
    core::Gauge& last_bytes_;
};

}  // namespace smackd::cmd
