#include "services/agent/skeleton.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <format>

#include "core/result.h"
#include "services/agent/mounts.h"
#include "services/agent/users.h"

namespace smackd::agent {
namespace {

constexpr const char* kStep = "files of the root";

std::string parent_of(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

// Without the slashes around it and the doubled ones; nothing when it has "." or "..".
std::string plain(const std::string& path) {
    std::string out;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string part = path.substr(at, end - at);
        if (part == "." || part == "..") return "";
        if (!part.empty()) out += (out.empty() ? "" : "/") + part;
        at = end + 1;
    }
    return out;
}

Stepped<void> make_entry(int root, const SkeletonEntry& entry, uint32_t user_base) {
    if (entry.directory) {
        if (::mkdirat(root, entry.path.c_str(), 0700) != 0) return fail_step(kStep, entry.path);
    } else {
        const Descriptor file(
            ::openat(root, entry.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!file || ::write(file.get(), entry.text.data(), entry.text.size()) !=
                         static_cast<ssize_t>(entry.text.size()))
            return fail_step(kStep, entry.path);
    }
    // The owner first: a change of it may take mode bits away.
    if (::fchownat(root, entry.path.c_str(), user_base + entry.uid, user_base + entry.gid, 0) != 0 ||
        ::fchmodat(root, entry.path.c_str(), entry.mode, 0) != 0)
        return fail_step(kStep, entry.path);
    return {};
}

}  // namespace

SkeletonPlan::SkeletonPlan(const std::vector<std::string>& layers) {
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
        layers_.emplace_back(::open(layer->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// The topmost that has something there decides. A layer with something else than directories on the way hides
// those below it.
SkeletonPlan::Found SkeletonPlan::look_up(const std::string& path, SkeletonEntry& into) const {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    for (const Descriptor& layer : layers_) {
        const Descriptor found(
            static_cast<int>(::syscall(SYS_openat2, layer.get(), path.c_str(), &how, sizeof(how))));
        struct stat status{};
        if (!found && errno == ENOENT) continue;
        if (!found || ::fstat(found.get(), &status) != 0) return Found::kOther;
        if (S_ISCHR(status.st_mode) && status.st_rdev == 0) return Found::kNothing;  // a whiteout
        if (!S_ISDIR(status.st_mode)) return Found::kOther;
        into.mode = status.st_mode & 07777U;
        into.uid = status.st_uid;
        into.gid = status.st_gid;
        return Found::kDirectory;
    }
    return Found::kNothing;
}

bool SkeletonPlan::has(const std::string& path) const {
    return std::ranges::any_of(entries_, [&](const auto& entry) { return entry.path == path; });
}

bool SkeletonPlan::add_directory(const std::string& path) {
    if (path.empty() || has(path)) return true;
    if (!add_directory(parent_of(path)) || entries_.size() >= kSkeletonMax) return false;
    SkeletonEntry entry{path, true};
    if (look_up(path, entry) == Found::kOther) return false;
    // Ids outside the task's range would be shown as nobody's: as the image's own directory they stay so.
    if (entry.uid >= kIdsPerTask || entry.gid >= kIdsPerTask) return false;
    entries_.push_back(std::move(entry));
    return true;
}

bool SkeletonPlan::add_file(const std::string& path, const std::string& text) {
    const std::string name = plain(path);
    if (name.empty() || has(name)) return false;
    if (!add_directory(parent_of(name)) || entries_.size() >= kSkeletonMax) return false;
    entries_.push_back({.path = name, .mode = 0644, .text = text});
    return true;
}

bool SkeletonPlan::add_mount_point(const std::string& path, bool as_file) {
    const std::string name = plain(path);
    if (name.empty() || has(name)) return !name.empty();
    SkeletonEntry entry{name, !as_file};
    if (look_up(name, entry) != Found::kNothing) return false;
    if (!as_file) return add_directory(name);
    return add_file(path, "");
}

Stepped<Descriptor> make_skeleton(const std::vector<SkeletonEntry>& entries, uint32_t user_base) {
    auto made = detached_file_system(kStep, "tmpfs", {{"mode", "0755"}, {"size", "4m"}}, kNoDevices);
    if (!made) return made;
    for (const SkeletonEntry& entry : entries) TRY(make_entry(made->get(), entry, user_base));
    return made;
}

}  // namespace smackd::agent
