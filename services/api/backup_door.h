// What the API needs of backups: making one to send away, what the schedule has made, and how it stands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/disk.h"
#include "core/ids.h"
#include "core/result.h"
#include "net/task.h"
#include "services/backup/backup_schedule.h"

namespace smackd::services {

/// A finished backup file that is nobody's but the holder's: its name is gone, its space is freed with the
/// object.
struct OpenBackup {
    std::shared_ptr<core::File> file;  ///< shared by the pieces of work that read it
    uint64_t bytes = 0;
    core::Revision revision;
};

/// A file of the schedule's folder on this server.
struct StoredBackup {
    std::string name;
    uint64_t bytes = 0;
    core::WallTime time;
};

/// Called on the API loop.
class BackupDoor {
 public:
    virtual ~BackupDoor() = default;
    /// Makes one of the committed state of this server. kBusy when too many are under way.
    virtual net::Task<core::Result<OpenBackup>> make() = 0;
    /// The newest first.
    virtual net::Task<core::Result<std::vector<StoredBackup>>> list() = 0;
    virtual const BackupPlan& plan() const = 0;
};

}  // namespace smackd::services
