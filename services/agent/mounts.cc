#include "services/agent/mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <format>
#include <string_view>

namespace smackd::agent {
namespace {

constexpr const char* kOverlayStep = "overlay root";
constexpr size_t kOptionsBytesMax = 4095;  // one page for mount(2)

int set_option(int context, const FileSystemOption& option) {
    if (option.value.empty()) return ::fsconfig(context, FSCONFIG_SET_FLAG, option.name.c_str(), nullptr, 0);
    return ::fsconfig(context, FSCONFIG_SET_STRING, option.name.c_str(), option.value.c_str(), 0);
}

Stepped<Descriptor> layer_mount(const std::string& path, int user_namespace) {
    const char* step = "idmapped layer";
    auto copy = detached_copy(step, path);
    if (!copy || user_namespace < 0) return copy;
    auto mapped = change_mount(step, copy->get(), kIdMapped, false, user_namespace);
    if (!mapped && mapped.error().error_number == EINVAL)
        return fail_step_with(step, EINVAL,
                              path +
                                  ": this kernel cannot idmap the file system it is on; keep the data "
                                  "directory on ext4, xfs or btrfs");
    if (!mapped) return std::unexpected(std::move(mapped.error()));
    return copy;
}

// One device number for all of the overlay, although its layers are on several file systems: programs that
// stay on one (find -xdev, tar --one-file-system) would otherwise leave out files.
const FileSystemOption kOneDevice = {"xino", "on"};
bool is_mixed(const std::vector<Descriptor>& lowers, const OverlayLayers& layers) {
    return lowers.size() > layers.lower.size();
}

// Kernels from 6.13: layers by descriptor, nothing has a path. EOPNOTSUPP (before 6.5), EINVAL, EBADF or
// ENOENT from an older one.
Stepped<Descriptor> overlay_by_descriptor(const std::vector<Descriptor>& lowers,
                                          const OverlayLayers& layers) {
    const Descriptor context(::fsopen("overlay", FSOPEN_CLOEXEC));
    if (!context) return fail_step(kOverlayStep, "fsopen");
    for (size_t i = lowers.size(); i-- > 0;) {  // the topmost comes first
        if (::fsconfig(context.get(), FSCONFIG_SET_FD, "lowerdir+", nullptr, lowers[i].get()) != 0)
            return fail_step(kOverlayStep, i < layers.lower.size() ? layers.lower[i] : "top");
    }
    std::vector<FileSystemOption> options = {
        {"upperdir", layers.upper}, {"workdir", layers.work}, {"volatile"}};
    if (is_mixed(lowers, layers)) options.push_back(kOneDevice);
    for (const FileSystemOption& option : options) {
        if (set_option(context.get(), option) != 0)
            return fail_step(kOverlayStep, option.name + "=" + option.value);
    }
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return fail_step(kOverlayStep, layers.upper);
    Descriptor mounted(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!mounted) return fail_step(kOverlayStep, "fsmount");
    return mounted;
}

// Older kernels know layers by path only: the copies are put on a tmpfs, in a mount namespace that this
// process has to itself from here on. What is unmounted on the host is unmounted there, too.
Stepped<Descriptor> overlay_by_path(const std::vector<Descriptor>& lowers, const OverlayLayers& layers) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
        return fail_step(kOverlayStep, "mount namespace");
    if (::mkdir(layers.staging.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_step(kOverlayStep, layers.staging);
    if (::mount("tmpfs", layers.staging.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0700") != 0)
        return fail_step(kOverlayStep, layers.staging);
    std::string lower;
    for (size_t i = lowers.size(); i-- > 0;) {
        const std::string name = std::format("{}", i);
        if (::mkdir((layers.staging + "/" + name).c_str(), 0700) != 0) return fail_step(kOverlayStep, name);
        TRY(attach_mount(kOverlayStep, lowers[i].get(), AT_FDCWD, layers.staging + "/" + name));
        lower += (lower.empty() ? "" : ":") +
                 name;  // relative to the working directory: the page holds more of them
    }
    std::string options =
        std::format("lowerdir={},upperdir={},workdir={},volatile", lower, layers.upper, layers.work);
    if (is_mixed(lowers, layers)) options += std::format(",{}={}", kOneDevice.name, kOneDevice.value);
    if (options.size() > kOptionsBytesMax) return fail_step_with(kOverlayStep, E2BIG, "too many layers");
    const Descriptor back(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const std::string root = layers.staging + "/root";
    if (::mkdir(root.c_str(), 0700) != 0 || ::chdir(layers.staging.c_str()) != 0)
        return fail_step(kOverlayStep, root);
    const int mounted = ::mount("overlay", "root", "overlay", 0, options.c_str());
    const int error_number = errno;
    if (::fchdir(back.get()) != 0) return fail_step(kOverlayStep, "fchdir");
    if (mounted != 0) return fail_step_with(kOverlayStep, error_number, options);
    auto copy = detached_copy(kOverlayStep, root);
    ::umount2(root.c_str(), MNT_DETACH);
    ::umount2(layers.staging.c_str(), MNT_DETACH);
    return copy;
}

}  // namespace

Stepped<Descriptor> detached_file_system(const std::string& step, const std::string& type,
                                         const std::vector<FileSystemOption>& options, uint64_t attributes) {
    const Descriptor context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
    if (!context) return fail_step(step, type);
    for (const FileSystemOption& option : options) {
        if (set_option(context.get(), option) != 0) return fail_step(step, option.name + "=" + option.value);
    }
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return fail_step(step, type);
    Descriptor mounted(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!mounted) return fail_step(step, type);
    return mounted;
}

Stepped<Descriptor> detached_copy(const std::string& step, const std::string& path, bool recursive) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? unsigned{AT_RECURSIVE} : 0U);
    Descriptor copy(::open_tree(AT_FDCWD, path.c_str(), flags));
    if (!copy) return fail_step(step, path);
    return copy;
}

Stepped<void> change_mount(const std::string& step, int mount, uint64_t attributes, bool recursive,
                           int user_namespace) {
    struct mount_attr change{};
    change.attr_set = attributes;
    change.userns_fd = user_namespace < 0 ? 0 : static_cast<uint64_t>(user_namespace);
    const unsigned flags = AT_EMPTY_PATH | (recursive ? unsigned{AT_RECURSIVE} : 0U);
    if (::mount_setattr(mount, "", flags, &change, sizeof(change)) != 0)
        return fail_step(step, "mount_setattr");
    return {};
}

Stepped<Overlay> detached_overlay(OverlayLayers layers) {
    std::vector<Descriptor> lowers;
    for (const std::string& path : layers.lower) {
        auto lower = layer_mount(path, layers.user_namespace);
        if (!lower) return std::unexpected(std::move(lower.error()));
        lowers.push_back(std::move(*lower));
    }
    if (layers.top) lowers.push_back(std::move(layers.top));
    Overlay overlay;
    int error_number = EINVAL;
    if (!layers.use_staging) {
        auto made = overlay_by_descriptor(lowers, layers);
        error_number = made ? 0 : made.error().error_number;
        if (made) overlay.mount = std::move(*made);
        const bool older = error_number == EOPNOTSUPP || error_number == EINVAL || error_number == ENOENT ||
                           error_number == EBADF;
        if (error_number != 0 && !older) return std::unexpected(std::move(made.error()));
    }
    if (error_number != 0) {
        TRY_ASSIGN(overlay.mount, overlay_by_path(lowers, layers));
    }
    overlay.layers = std::move(lowers);
    return overlay;
}

Stepped<void> attach_mount(const std::string& step, int mount, int at, const std::string& path) {
    if (::move_mount(mount, "", at, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return fail_step(step, path);
    return {};
}

Stepped<void> attach_mount_at(const std::string& step, int mount, int target) {
    if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return fail_step(step, "move_mount");
    return {};
}

namespace {

Descriptor open_in_root(int root, const std::string& path, uint64_t flags, uint64_t mode = 0) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return Descriptor(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

}  // namespace

Stepped<Descriptor> make_in_root(const std::string& step, int root, const std::string& path, bool as_file) {
    Descriptor found = open_in_root(root, path, O_PATH);
    if (found) return found;
    if (errno != ENOENT) return fail_step(step, path);
    // Parents first; each is opened through the rule anew, as an image may have links among them.
    const size_t slash = path.find_last_of('/');
    const std::string parent = slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.empty()) return make_in_root(step, root, parent, as_file);
    if (name == "." || name == "..") return fail_step_with(step, EINVAL, path);
    TRY_ASSIGN(const Descriptor in, make_in_root(step, root, parent, false));
    if (as_file) {
        const Descriptor made(
            ::openat(in.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!made && errno != EEXIST) return fail_step(step, path);
    } else if (::mkdirat(in.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
        return fail_step(step, path);
    }
    found = open_in_root(root, path, O_PATH);
    if (!found) return fail_step(step, path);
    return found;
}

}  // namespace smackd::agent
