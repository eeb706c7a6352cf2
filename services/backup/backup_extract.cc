#include "services/backup/backup_extract.h"

#include "storage/state/files.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;

Result<void> check_backup_level(const wire::BackupHeader& header) {
    if (header.feature_level() <= storage::state::kFeatureLevelMax) return {};
    return fail(
        Errc::kUnsupported,
        "the backup was made by smackd {} at feature level {}, this version knows {}: use that version or "
        "a newer one",
        header.software(), header.feature_level(), storage::state::kFeatureLevelMax);
}

Result<wire::BackupManifest> extract_backup(core::Disk& disk, storage::sqlite::Vfs& vfs, BackupReader& reader,
                                            const auth::SealKey& cluster_key, const std::string& folder) {
    TRY(check_backup_level(reader.header()));
    FolderSink sink(disk, folder);
    TRY_ASSIGN(wire::BackupManifest manifest, reader.read(cluster_key, sink));
    TRY(disk.sync_directory(folder));
    storage::state::StateFiles files(disk, vfs, folder);
    TRY_ASSIGN(const storage::state::Position position, files.check_snapshot(folder));
    const bool fits = position.epoch == manifest.epoch() && position.revision == manifest.revision() &&
                      position.applied_index == manifest.index() &&
                      position.feature_level == reader.header().feature_level();
    if (fits) return manifest;
    return fail(Errc::kCorrupt, "the state in the backup is at revision {}.{}, its manifest says {}.{}",
                position.epoch, position.revision, manifest.epoch(), manifest.revision());
}

}  // namespace smackd::services
