// Takes rights away from this process for good. For child processes, before they touch foreign bytes.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace smackd::auth {

struct Confinement {
    std::string root;          ///< becomes "/" when this process is root; else file access is limited to it
    uint32_t uid = 0;          ///< 0: keep
    uint32_t gid = 0;          ///< 0: keep
    uint16_t listen_port = 0;  ///< may be bound, also below 1024; nothing may be connected to
};

/// Applies all of it, in the only order that works; kIo names the step that failed. Where the kernel lacks
/// Landlock the rest still holds. Returns the path by which `root` is reached afterwards: "" after chroot,
/// else `root` itself.
core::Result<std::string> confine(const Confinement& rules);

/// Kills this process when the thread that started it ends; kCancelled when `parent` is gone already.
core::Result<void> die_with_parent(int parent);

}  // namespace smackd::auth
