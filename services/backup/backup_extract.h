// Bringing the database files of a backup onto a disk, checked. Blocks.
#pragma once

#include <string>

#include "services/backup/backup_reader.h"
#include "storage/sqlite/vfs.h"

namespace smackd::services {

/// kUnsupported when the state in it is of a newer smackd than this one.
core::Result<void> check_backup_level(const wire::BackupHeader& header);

/// Writes the files into `folder` (there, and empty) and checks pages, trees, that they belong together and
/// are what the manifest says. kCorrupt names what is wrong.
core::Result<wire::BackupManifest> extract_backup(core::Disk& disk, storage::sqlite::Vfs& vfs,
                                                  BackupReader& reader, const auth::SealKey& cluster_key,
                                                  const std::string& folder);

}  // namespace smackd::services
