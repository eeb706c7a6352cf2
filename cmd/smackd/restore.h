// A cluster of one server out of a backup: same CA, realm and people, a new epoch, a new server.
#pragma once

#include <string>
#include <vector>

#include "auth/sealing.h"
#include "cmd/smackd/data_directory.h"
#include "core/ids.h"
#include "core/wire/backup.pb.h"
#include "services/backup/backup_reader.h"

namespace smackd::cmd {

/// Where the new server's data goes and what it is called.
struct RestorePlan {
    std::string directory;                ///< absolute; absent or empty
    std::string node_name;                ///< of this machine
    std::string cluster_address;          ///< HOST:PORT that further servers will dial
    std::vector<std::string> http_names;  ///< further names of the API
    std::string admin;  ///< whose keytab root finds in the data directory, when there is such a user
};

struct Restored {
    wire::BackupManifest manifest;
    NodeIdentity identity;
    core::Revision revision;  ///< of the new epoch
    bool admin_keytab = false;
};

/// kConflict unless `directory` is absent or an empty folder.
core::Result<void> check_empty(const std::string& directory);

/// Checks all of the backup in a folder beside its place, then puts the node there; the data directory holds
/// a node only when this has returned without an error. kDenied: another cluster's recovery key. Blocks.
core::Result<Restored> restore_backup(services::BackupReader& reader, const auth::RecoveryKey& recovery,
                                      const RestorePlan& plan);

}  // namespace smackd::cmd
