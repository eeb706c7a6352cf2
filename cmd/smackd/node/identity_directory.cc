#include "cmd/smackd/node/identity_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/agent/task_directory.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr const char* kToken = "token";
constexpr const char* kNewToken = ".token";
constexpr const char* kSocket = "api.sock";
constexpr mode_t kDirectoryMode = 0500;
constexpr mode_t kTokenMode = 0400;

struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
    bool operator==(const Owner&) const = default;
};

Result<Owner> owner_of(int directory) {
    struct stat found{};
    if (::fstat(directory, &found) != 0) return core::fail_errno(errno, "a task's identity");
    return Owner{found.st_uid, found.st_gid};
}

/// The shim may give the directory away while something in it is made: then it is the old owner's, and made
/// again.
template <class Make>
Result<void> for_owner(int directory, Make make) {
    while (true) {
        TRY_ASSIGN(const Owner before, owner_of(directory));
        TRY(make(before));
        TRY_ASSIGN(const Owner after, owner_of(directory));
        if (before == after) return {};
    }
}

Result<void> make_token(int directory, std::string_view token, Owner owner) {
    ::unlinkat(directory, kNewToken, 0);
    const agent::Descriptor file(
        ::openat(directory, kNewToken, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kTokenMode));
    if (!file || ::write(file.get(), token.data(), token.size()) != static_cast<ssize_t>(token.size()) ||
        ::fchown(file.get(), owner.uid, owner.gid) != 0 || ::fchmod(file.get(), kTokenMode) != 0 ||
        ::renameat(directory, kNewToken, directory, kToken) != 0)
        return core::fail_errno(errno, "a task's token");
    return {};
}

}  // namespace

Result<IdentityDirectory> IdentityDirectory::open(std::string path) {
    if (::mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST) return core::fail_errno(errno, path);
    agent::Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return core::fail_errno(errno, path);
    return IdentityDirectory(std::move(path), std::move(directory));
}

Result<void> IdentityDirectory::write_token(std::string_view token) const {
    return for_owner(directory_.get(),
                     [&](Owner owner) { return make_token(directory_.get(), token, owner); });
}

Result<void> IdentityDirectory::give_socket() const {
    return for_owner(directory_.get(), [&](Owner owner) -> Result<void> {
        if (::fchownat(directory_.get(), kSocket, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
            return core::fail_errno(errno, "a task's socket");
        return {};
    });
}

void IdentityDirectory::remove(const std::string& path) {
    agent::remove_tree(AT_FDCWD, path);
}

}  // namespace smackd::cmd
