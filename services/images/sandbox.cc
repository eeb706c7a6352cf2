#include "services/images/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <cerrno>
#include <format>
#include <memory>
#include <vector>

#include "core/archive/path.h"
#include "services/images/layer_store.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

namespace {

constexpr const char* kStaging = ".smackd-fetch";
constexpr const char* kNewFile = ".smackd-fetch-file";
constexpr mode_t kFolderMode = 0755;
constexpr size_t kCopyBytes = 16UL * 1024 * 1024;

Result<std::vector<std::string>> names_in(int folder) {
    // fdopendir takes its descriptor, and its position is that of all copies.
    const int own = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return fail_errno(errno, "open a folder");
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(own), ::closedir);
    if (listing == nullptr) return fail_errno(errno, "list a folder");
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(listing.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    return names;
}

Result<void> copy_all(int from, int to) {
    if (::lseek(from, 0, SEEK_SET) < 0) return fail_errno(errno, "read the artifact");
    for (;;) {
        const ssize_t count = ::sendfile(to, from, nullptr, kCopyBytes);
        if (count == 0) return {};
        if (count < 0 && errno != EINTR) return fail_errno(errno, "write into the sandbox");
    }
}

}  // namespace

Result<Sandbox> Sandbox::open(const std::string& path, uint32_t uid, uint32_t gid) {
    FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!folder) return fail_errno(errno, std::format("sandbox {}", path));
    return Sandbox(path, std::move(folder), uid, gid);
}

Result<FileDescriptor> Sandbox::open_folder(int at, const std::string& name, bool make) {
    if (make && ::mkdirat(at, name.c_str(), kFolderMode) == 0 &&
        ::fchownat(at, name.c_str(), uid_, gid_, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno(errno, std::format("chown {}", name));
    }
    FileDescriptor folder(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (folder) return folder;
    if (errno == ELOOP || errno == ENOTDIR) {
        return fail(Errc::kConflict, "'{}' in the sandbox is no folder", name.substr(0, 200));
    }
    return fail_errno(errno, std::format("open {}", name));
}

Result<void> Sandbox::put_file(int file, const std::string& name, uint32_t mode) {
    TRY_ASSIGN(const core::archive::PathComponents components, core::archive::split_path(name));
    if (components.empty()) return fail(Errc::kInvalid, "fetch.destPath: is empty");
    TRY_ASSIGN(FileDescriptor folder, open_folder(folder_.get(), ".", false));
    for (size_t i = 0; i + 1 < components.size(); ++i) {
        TRY_ASSIGN(folder, open_folder(folder.get(), components[i], true));
    }
    ::unlinkat(folder.get(), kNewFile, 0);  // of one that was interrupted
    const FileDescriptor copy(
        ::openat(folder.get(), kNewFile, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!copy) return fail_errno(errno, std::format("make {}", name));
    auto done = copy_all(file, copy.get());
    if (done && ::fchown(copy.get(), uid_, gid_) != 0) done = fail_errno(errno, "chown");
    if (done && ::fchmod(copy.get(), mode) != 0) done = fail_errno(errno, "chmod");
    if (done && ::renameat(folder.get(), kNewFile, folder.get(), components.back().c_str()) != 0) {
        done = fail_errno(errno, std::format("rename to {}", name));
    }
    if (!done) ::unlinkat(folder.get(), kNewFile, 0);
    return done;
}

Result<std::string> Sandbox::make_staging() {
    TRY(drop_staging());
    if (::mkdirat(folder_.get(), kStaging, 0700) != 0)
        return fail_errno(errno, "make a folder to unpack into");
    return path_ + "/" + kStaging;
}

Result<void> Sandbox::move_into(int from, int to, size_t depth) {
    if (depth > core::archive::kPathDepthMax) return fail(Errc::kInvalid, "folders are too deep");
    TRY_ASSIGN(const std::vector<std::string> names, names_in(from));
    for (const std::string& name : names) {
        struct stat source{};
        struct stat target{};
        if (::fstatat(from, name.c_str(), &source, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, name);
        const bool there = ::fstatat(to, name.c_str(), &target, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISDIR(source.st_mode)) {
            TRY_ASSIGN(const FileDescriptor from_folder, open_folder(from, name, false));
            TRY_ASSIGN(const FileDescriptor to_folder, open_folder(to, name, false));
            TRY(move_into(from_folder.get(), to_folder.get(), depth + 1));
            continue;
        }
        if (there && S_ISDIR(target.st_mode))
            return fail(Errc::kConflict, "'{}' in the sandbox is a folder", name.substr(0, 200));
        if (::renameat(from, name.c_str(), to, name.c_str()) != 0)
            return fail_errno(errno, std::format("move {}", name));
    }
    return {};
}

Result<void> Sandbox::take_staging() {
    TRY_ASSIGN(const FileDescriptor staging, open_folder(folder_.get(), kStaging, false));
    return move_into(staging.get(), folder_.get(), 0);
}

Result<void> Sandbox::drop_staging() {
    return remove_tree(path_ + "/" + kStaging);
}

}  // namespace smackd::services::images
