#include "services/images/tree_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <format>

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::archive::PathComponents;
using core::archive::TarMember;
using core::archive::Whiteout;

namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kAllBits = 07777;
constexpr mode_t kPlainBits = 0777;

std::unexpected<core::Error> fail_at(int error_number, std::string_view what, std::string_view path) {
    return core::fail_errno(error_number, std::format("{} '{}'", what, path.substr(0, 200)));
}

/// Of an image only what cannot change how the host or overlayfs treats it.
bool keeps_xattr(std::string_view name) {
    if (name == "security.capability") return true;
    return name.starts_with("user.") && !name.starts_with("user.overlay.");
}

bool is_whiteout(const struct stat& about) {
    return S_ISCHR(about.st_mode) && about.st_rdev == makedev(0, 0);
}

}  // namespace

Result<FileDescriptor> TreeWriter::open_below(const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    const long opened = ::syscall(SYS_openat2, root_.get(), name, &how, sizeof how);
    if (opened < 0) return fail_at(errno, "open", path);
    return FileDescriptor(static_cast<int>(opened));
}

Result<FileDescriptor> TreeWriter::make_parents(const PathComponents& components) {
    TRY_ASSIGN(FileDescriptor at, open_below("", O_PATH | O_DIRECTORY));
    std::string path;
    for (const std::string& name : components) {
        path += (path.empty() ? "" : "/") + name;
        auto next = open_below(path, O_PATH | O_DIRECTORY);
        if (!next) {
            struct stat about{};
            const bool there = ::fstatat(at.get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0;
            if (there && !is_whiteout(about)) {
                return fail(Errc::kInvalid, "'{}': a folder is wanted where something else is",
                            path.substr(0, 200));
            }
            if (there) {
                // The layer removes what is below and puts a new folder there.
                if (::unlinkat(at.get(), name.c_str(), 0) != 0) return fail_at(errno, "remove", path);
                opaque_.insert(path);
            }
            if (::mkdirat(at.get(), name.c_str(), kFolderMode) != 0)
                return fail_at(errno, "make folder", path);
            if (!rules_.layer &&
                ::fchownat(at.get(), name.c_str(), rules_.uid, rules_.gid, AT_SYMLINK_NOFOLLOW) != 0)
                return fail_at(errno, "chown", path);
            next = open_below(path, O_PATH | O_DIRECTORY);
        }
        if (!next) return core::pass(std::move(next));
        at = std::move(*next);
    }
    return at;
}

/// The folder of a member; kept open, since neighbours come one after the other.
Result<int> TreeWriter::open_parent(const PathComponents& components) {
    const PathComponents folder(components.begin(), components.end() - 1);
    const std::string path = core::archive::join_path(folder);
    if (parent_ && path == parent_path_) return parent_.get();
    auto opened = open_below(path, O_PATH | O_DIRECTORY);
    if (!opened) opened = make_parents(folder);
    if (!opened) return core::pass(std::move(opened));
    parent_ = std::move(*opened);
    parent_path_ = path;
    return parent_.get();
}

/// Removes what an earlier member of that name made. A folder stays where a folder is wanted.
Result<void> TreeWriter::make_way(int parent, const std::string& name, const std::string& path,
                                  bool for_folder) {
    struct stat about{};
    if (::fstatat(parent, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return {};
        return fail_at(errno, "look at", path);
    }
    const bool folder = S_ISDIR(about.st_mode);
    if (folder && for_folder) return {};
    if (::unlinkat(parent, name.c_str(), folder ? AT_REMOVEDIR : 0) != 0) {
        if (errno == ENOTEMPTY) {
            return fail(Errc::kInvalid, "'{}' would replace a folder that has something in it",
                        path.substr(0, 200));
        }
        return fail_at(errno, "remove", path);
    }
    if (folder) parent_.reset();
    if (is_whiteout(about) && for_folder) opaque_.insert(path);
    return {};
}

Result<void> TreeWriter::white_out(const PathComponents& components, const Whiteout& whiteout) {
    if (whiteout.kind == Whiteout::Kind::kIgnore) return {};
    TRY_ASSIGN(const int parent, open_parent(components));
    if (whiteout.kind == Whiteout::Kind::kOpaque) {
        opaque_.insert(parent_path_);
        return {};
    }
    const std::string path = parent_path_.empty() ? whiteout.name : parent_path_ + "/" + whiteout.name;
    struct stat about{};
    if (::fstatat(parent, whiteout.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0) {
        // The layer has the name itself, whichever came first: only what is below it goes.
        if (S_ISDIR(about.st_mode)) opaque_.insert(path);
        return {};
    }
    if (::mknodat(parent, whiteout.name.c_str(), S_IFCHR, makedev(0, 0)) != 0)
        return fail_at(errno, "white out", path);
    return {};
}

Result<void> TreeWriter::begin(const TarMember& member) {
    auto components = core::archive::split_path(member.path);
    if (!components)
        return core::pass(std::move(components), std::format("'{}'", member.path.substr(0, 200)));
    if (member.kind == TarMember::Kind::kDevice) {
        ++devices_skipped_;
        return {};
    }
    if (components->empty()) {
        if (member.kind != TarMember::Kind::kDirectory)
            return fail(Errc::kInvalid, "a member without a name is no folder");
        return rules_.layer ? set_attributes(member, root_.get()) : Result<void>();
    }
    if (rules_.layer) {
        auto whiteout = core::archive::parse_whiteout(components->back());
        if (!whiteout) return core::pass(std::move(whiteout));
        if (whiteout->kind != Whiteout::Kind::kNone) {
            if (member.size > 0)
                return fail(Errc::kInvalid, "whiteout '{}' has content", member.path.substr(0, 200));
            return white_out(*components, *whiteout);
        }
    }
    TRY_ASSIGN(int parent, open_parent(*components));
    const std::string& name = components->back();
    const std::string path = core::archive::join_path(*components);
    TRY(make_way(parent, name, path, member.kind == TarMember::Kind::kDirectory));
    if (!parent_) {
        TRY_ASSIGN(parent, open_parent(*components));
    }
    switch (member.kind) {
        case TarMember::Kind::kDirectory:
            times_[path] = {member.mtime_seconds, member.mtime_nanoseconds};
            return make_folder(member, parent, name);
        case TarMember::Kind::kSymlink:
            return make_symlink(member, parent, name);
        case TarMember::Kind::kHardLink:
            return make_hard_link(member, parent, name);
        case TarMember::Kind::kFifo:
            return make_fifo(member, parent, name);
        default:
            member_ = member;
            return make_file(parent, name);
    }
}

Result<void> TreeWriter::make_folder(const TarMember& member, int parent, const std::string& name) {
    if (::mkdirat(parent, name.c_str(), kFolderMode) != 0 && errno != EEXIST) {
        return fail_at(errno, "make folder", member.path);
    }
    const FileDescriptor folder(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) return fail_at(errno, "open folder", member.path);
    return set_attributes(member, folder.get());
}

Result<void> TreeWriter::make_file(int parent, const std::string& name) {
    file_ = FileDescriptor(
        ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_) return fail_at(errno, "make file", member_.path);
    return {};
}

Result<void> TreeWriter::content(core::BytesView bytes) {
    while (file_ && !bytes.empty()) {
        const ssize_t put = ::write(file_.get(), bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_at(errno, "write", member_.path);
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    return {};
}

Result<void> TreeWriter::end() {
    if (!file_) return {};
    const FileDescriptor file = std::exchange(file_, FileDescriptor());
    TRY(set_attributes(member_, file.get()));
    const timespec times[2] = {{member_.mtime_seconds, member_.mtime_nanoseconds},
                               {member_.mtime_seconds, member_.mtime_nanoseconds}};
    if (::futimens(file.get(), times) != 0) return fail_at(errno, "set time of", member_.path);
    return {};
}

Result<void> TreeWriter::make_symlink(const TarMember& member, int parent, const std::string& name) {
    const std::string& target = member.target;
    if (target.empty() || target.size() > core::archive::kPathBytesMax ||
        target.find('\0') != std::string::npos) {
        return fail(Errc::kInvalid, "symbolic link '{}': its target is empty or too long",
                    member.path.substr(0, 200));
    }
    if (::symlinkat(target.c_str(), parent, name.c_str()) != 0)
        return fail_at(errno, "make link", member.path);
    return set_link_attributes(member, parent, name);
}

Result<void> TreeWriter::make_hard_link(const TarMember& member, int parent, const std::string& name) {
    auto target = core::archive::split_path(member.target);
    if (!target)
        return core::pass(std::move(target), std::format("hard link '{}'", member.path.substr(0, 200)));
    if (target->empty())
        return fail(Errc::kInvalid, "hard link '{}' has no target", member.path.substr(0, 200));
    const PathComponents folder(target->begin(), target->end() - 1);
    auto at = open_below(core::archive::join_path(folder), O_PATH | O_DIRECTORY);
    struct stat about{};
    const std::string& last = target->back();
    if (!at || ::fstatat(at->get(), last.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail(Errc::kUnsupported,
                    "hard link '{}' points to '{}', which is not in the archive before it",
                    member.path.substr(0, 200), member.target.substr(0, 200));
    }
    if (!S_ISREG(about.st_mode) && !S_ISLNK(about.st_mode)) {
        return fail(Errc::kInvalid, "hard link '{}' points to what is no file", member.path.substr(0, 200));
    }
    if (::linkat(at->get(), last.c_str(), parent, name.c_str(), 0) != 0)
        return fail_at(errno, "link", member.path);
    return {};
}

Result<void> TreeWriter::make_fifo(const TarMember& member, int parent, const std::string& name) {
    const mode_t mode = member.mode & kPlainBits;
    if (::mknodat(parent, name.c_str(), S_IFIFO | mode, 0) != 0)
        return fail_at(errno, "make fifo", member.path);
    TRY(set_link_attributes(member, parent, name));
    // A fifo is no symbolic link, and nobody else is here to make it one.
    if (::fchmodat(parent, name.c_str(), mode, 0) != 0) return fail_at(errno, "chmod", member.path);
    return {};
}

Result<void> TreeWriter::set_attributes(const TarMember& member, int descriptor) {
    // chown clears setuid bits and file capabilities, so they come after it.
    if (::fchown(descriptor, owner_of(member), group_of(member)) != 0)
        return fail_at(errno, "chown", member.path);
    const mode_t mode = member.mode & (rules_.layer ? kAllBits : kPlainBits);
    if (::fchmod(descriptor, mode) != 0) return fail_at(errno, "chmod", member.path);
    if (!rules_.layer) return {};
    for (const auto& [name, value] : member.xattrs) {
        if (!keeps_xattr(name)) continue;
        if (::fsetxattr(descriptor, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP) {
            return fail_at(errno, std::format("set attribute {} of", name), member.path);
        }
    }
    return {};
}

Result<void> TreeWriter::set_link_attributes(const TarMember& member, int parent, const std::string& name) {
    if (::fchownat(parent, name.c_str(), owner_of(member), group_of(member), AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_at(errno, "chown", member.path);
    }
    const timespec times[2] = {{member.mtime_seconds, member.mtime_nanoseconds},
                               {member.mtime_seconds, member.mtime_nanoseconds}};
    if (::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_at(errno, "set time of", member.path);
    }
    return {};
}

Result<void> TreeWriter::finish() {
    parent_.reset();
    for (const auto& [path, time] : times_) {
        auto folder = open_below(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!folder) continue;  // a later member took its place
        const timespec times[2] = {{time.seconds, time.nanoseconds}, {time.seconds, time.nanoseconds}};
        if (::futimens(folder->get(), times) != 0) return fail_at(errno, "set time of", path);
    }
    return {};
}

}  // namespace smackd::services::images
