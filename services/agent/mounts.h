// Mounts that nobody sees until a task puts them in its place: the kernel's new mount interface (5.2 and
// later).
//
// A detached mount is a descriptor; it vanishes with its last user, so nothing is left behind when we are
// killed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

/// Attributes are MOUNT_ATTR_* bits of linux/mount.h.
inline constexpr uint64_t kReadOnly = 0x1;
inline constexpr uint64_t kNoSetuid = 0x2;
inline constexpr uint64_t kNoDevices = 0x4;
inline constexpr uint64_t kNoExecute = 0x8;
inline constexpr uint64_t kIdMapped = 0x00100000;

struct FileSystemOption {
    std::string name;
    std::string value{};  ///< empty: a flag
};

/// A new file system; errno and the option's name in the error.
Stepped<Descriptor> detached_file_system(const std::string& step, const std::string& type,
                                         const std::vector<FileSystemOption>& options, uint64_t attributes);
/// A copy of the mount at `path`, which may be a file; with the mounts below it when `recursive`. Symlinks
/// are followed.
Stepped<Descriptor> detached_copy(const std::string& step, const std::string& path, bool recursive = false);
/// Sets `attributes` on a detached mount, and below it when `recursive`; `user_namespace` for kIdMapped, else
/// -1.
Stepped<void> change_mount(const std::string& step, int mount, uint64_t attributes, bool recursive = false,
                           int user_namespace = -1);

/// What an overlay is made of.
struct OverlayLayers {
    std::vector<std::string> lower{};  ///< lowest first
    Descriptor top{};                  ///< a detached mount over them, its ids as they are; or none
    int user_namespace = -1;           ///< ids of the lower layers are shown through it; -1: as they are
    std::string upper{};
    std::string work{};
    std::string
        staging{};  ///< an empty directory for kernels whose overlays take no descriptors (before 6.13)
    bool use_staging = false;  ///< as if this were such a kernel
};
struct Overlay {
    Descriptor mount{};
    /// What it was made of. To close one of them makes the kernel wait for its readers (milliseconds on a
    /// busy machine): for when nobody waits.
    std::vector<Descriptor> layers{};
};
/// Step "overlay root" or "idmapped layer". With staging the caller gets a mount namespace of its own: one
/// thread only.
Stepped<Overlay> detached_overlay(OverlayLayers layers);

/// Puts a detached mount at `path` (relative to `at`). The last component is not followed.
Stepped<void> attach_mount(const std::string& step, int mount, int at, const std::string& path);
/// Puts it on the directory or file that `target` is open on.
Stepped<void> attach_mount_at(const std::string& step, int mount, int target);

/// A directory inside `root`, made with its parents where it is not there. Neither ".." nor a link leads
/// outside (openat2 RESOLVE_IN_ROOT). `as_file`: an empty file at the end. Returns an O_PATH descriptor.
Stepped<Descriptor> make_in_root(const std::string& step, int root, const std::string& path, bool as_file);

}  // namespace smackd::agent
