#include "services/agent/file_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/result.h"
#include "services/agent/descriptor.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

constexpr uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's own

Stepped<void> own_below(int at, const std::string& name, uint32_t uid, uint32_t gid, int depth) {
    const char* step = "sandbox";
    struct stat found{};
    const auto gone = [depth] { return errno == ENOENT && depth > 0; };
    if (::fstatat(at, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0)
        return gone() ? Stepped<void>() : fail_step(step, name);
    const bool directory = S_ISDIR(found.st_mode);
    if (!directory && found.st_nlink > 1) return {};
    if ((found.st_uid != uid || found.st_gid != gid) &&
        ::fchownat(at, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return gone() ? Stepped<void>() : fail_step(step, name);
    if (!directory) return {};
    if (depth > kTreeDepthMax) return fail_step_with(step, ELOOP, name);
    const Descriptor opened(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return fail_step(step, name);
    for (const std::string& below : names_in(opened.get(), "."))
        TRY(own_below(opened.get(), below, uid, gid, depth + 1));
    return {};
}

bool add_below(int at, const std::string& name, dev_t device, int depth, uint64_t& bytes) {
    struct stat found{};
    if (::fstatat(at, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return true;  // gone meanwhile
    bytes += static_cast<uint64_t>(found.st_blocks) * kBlockBytes;
    if (!S_ISDIR(found.st_mode) || found.st_dev != device) return true;
    if (depth > kTreeDepthMax) return false;
    const Descriptor opened(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return true;
    for (const std::string& below : names_in(opened.get(), ".")) {
        if (!add_below(opened.get(), below, device, depth + 1, bytes)) return false;
    }
    return true;
}

}  // namespace

Stepped<void> own_tree(const std::string& path, uint32_t uid, uint32_t gid) {
    return own_below(AT_FDCWD, path, uid, gid, 0);
}

std::optional<uint64_t> tree_bytes(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return 0;
    uint64_t bytes = 0;
    if (!add_below(AT_FDCWD, path, found.st_dev, 0, bytes)) return std::nullopt;
    return bytes;
}

}  // namespace smackd::agent
