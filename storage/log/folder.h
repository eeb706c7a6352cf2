// Folders that are still there after a power failure.
#pragma once

#include <string>

#include "core/disk.h"

namespace smackd::storage {

/// Makes `path` and syncs its parent, so that the name itself is durable. The parent must exist or is made.
inline core::Result<void> make_durable_directory(core::Disk& disk, const std::string& path) {
    TRY(disk.make_directory(path));
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return disk.sync_directory(".");
    return disk.sync_directory(slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace smackd::storage
