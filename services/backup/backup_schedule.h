// When the next scheduled backup is due, how its file is named and which old ones go. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::services {

/// Name of the setting that holds the BackupRecord: in the state, so that every server knows and whoever
/// leads next goes on from it.
inline constexpr std::string_view kBackupSetting = "backup.last";
inline constexpr core::Duration kBackupFirstDelay = std::chrono::minutes(5);  ///< after a start
inline constexpr core::Duration kBackupRetryDelay = std::chrono::hours(1);    ///< after a failure
inline constexpr core::Duration kBackupFollowerDelay =
    std::chrono::minutes(10);  ///< for the leader to be first

struct BackupPlan {
    core::Duration every = std::chrono::hours(24);  ///< 0: none are scheduled
    uint32_t keep = 7;                              ///< files of the schedule in its folder, the newest ones
    std::string directory;
};

/// What is known of scheduled backups.
struct BackupRecord {
    core::WallTime made;   ///< the last one; 0: none yet
    std::string revision;  ///< "1.42", of that one
    std::string server;    ///< name of the server whose folder it is in
    std::string file;      ///< its path there
    uint64_t bytes = 0;
    core::WallTime failed;  ///< the last failure since that one; 0: none
    std::string failure;    ///< what happened, and where

    /// As the setting's value. parse: kCorrupt when it is none.
    std::string to_text() const;
    static core::Result<BackupRecord> parse(std::string_view text);
};

/// How long from `now` until the next one is due; not before `earliest`.
core::Duration until_next_backup(const BackupPlan& plan, const BackupRecord& last, core::WallTime now,
                                 core::Duration earliest);

/// "smackd-20260102T030405Z.backup".
std::string backup_name(core::WallTime time);
/// The time in a name of backup_name; nothing for any other name.
std::optional<core::WallTime> time_of_backup(std::string_view name);
/// The names that go when `keep` of the schedule's files stay; and what an interrupted one left.
std::vector<std::string> outdated_backups(std::vector<std::string> names, uint32_t keep);

}  // namespace smackd::services
