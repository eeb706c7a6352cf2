// Making a backup file out of the three database files of one moment. Blocks: for a worker.
#pragma once

#include <atomic>
#include <string>

#include "core/disk.h"
#include "core/wire/backup.pb.h"
#include "services/backup/backup_file.h"
#include "storage/fsm.h"
#include "storage/sqlite/vfs.h"

namespace smackd::services {

/// What a backup is made of.
struct BackupSource {
    storage::SnapshotTask state;    ///< pinned; copied out when the backup is written
    wire::BackupManifest manifest;  ///< term and servers; the rest is read from the copy
    wire::BackupHeader header;      ///< cluster_id, wrapped_cluster_key, time_ms and software
};

/// Where and how.
struct BackupPlace {
    core::Disk& disk;
    storage::sqlite::Vfs& vfs;
    std::string work;  ///< folder for the copy, on the state's disk; emptied before and after
    std::string path;  ///< the file; appears complete, by rename
    const std::atomic<bool>& cancelled;  ///< looked at between chunks
};

struct WrittenBackup {
    wire::BackupManifest manifest;
    uint64_t bytes = 0;
};

/// Copies, checks (pages, trees, that the files belong together), compresses, seals, syncs. kCorrupt: the
/// state is damaged; kDiskFull, kIo, kCancelled.
core::Result<WrittenBackup> write_backup(const auth::SealKey& cluster_key, BackupSource source,
                                         const BackupPlace& place);

/// The same of a folder that holds kBackupFiles already; sizes are filled into the manifest.
core::Result<WrittenBackup> write_backup_of(const std::string& folder, const auth::SealKey& cluster_key,
                                            BackupSource source, const BackupPlace& place);

/// Removes a folder with the files in it; one that is not there is fine.
core::Result<void> remove_folder(core::Disk& disk, const std::string& folder);

}  // namespace smackd::services
