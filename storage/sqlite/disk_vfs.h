// The lower layer of vfs.h over a core::Disk.
#pragma once

#include <sqlite3.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/disk.h"
#include "storage/sqlite/shared_file.h"

namespace smackd::storage::sqlite {

/// Registers itself until it is destroyed. Time stands still and sleeping does nothing: what SQLite does
/// depends on the disk alone.
class DiskVfs {
 public:
    DiskVfs(std::string name, core::Disk& disk);
    DiskVfs(const DiskVfs&) = delete;
    DiskVfs& operator=(const DiskVfs&) = delete;
    ~DiskVfs();

    const std::string& name() const { return name_; }
    core::Disk& disk() { return disk_; }
    /// What connections to `path` share; lives as long as one of them is open.
    std::shared_ptr<SharedFile> shared(const std::string& path);
    void forget(const std::string& path);

 private:
    std::string name_;
    core::Disk& disk_;
    sqlite3_vfs vfs_{};
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<SharedFile>> files_;
};

}  // namespace smackd::storage::sqlite
