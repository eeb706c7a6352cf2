#include "services/agent/task_owner.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <format>

#include "services/agent/descriptor.h"
#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

// Of the topmost layer; a link in a layer does not lead out of it.
std::string read_in_layers(const wire::TaskSpec& spec, const char* path) {
    for (int i = spec.rootfs_size(); i-- > 0;) {
        const Descriptor layer(::open(spec.rootfs(i).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        open_how how{};
        how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        const Descriptor file(static_cast<int>(::syscall(SYS_openat2, layer.get(), path, &how, sizeof(how))));
        struct stat found{};
        if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) continue;
        std::string text(std::min<size_t>(static_cast<size_t>(found.st_size), kUserFileBytesMax), '\0');
        const ssize_t got = ::read(file.get(), text.data(), text.size());
        text.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return text;
    }
    return {};
}

// The host's line of `name`, which is not a number.
std::string host_line(const char* path, std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return {};
    const std::string text = read_small_file(path).value_or("");
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
            return std::string(line) + "\n";
        at = end + 1;
    }
    return {};
}

std::string_view before_colon(std::string_view user) {
    return user.substr(0, user.find(':'));
}
std::string_view after_colon(std::string_view user) {
    const size_t colon = user.find(':');
    return colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
}

}  // namespace

std::string host_root_passwd(const wire::TaskSpec& spec) {
    std::string text =
        "root:x:0:0:root:/:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    const std::string_view user = before_colon(spec.user());
    if (user != "root" && user != "daemon" && user != "nobody") text += host_line("/etc/passwd", user);
    return text;
}

std::string host_root_group(const wire::TaskSpec& spec) {
    std::string text = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n";
    const std::string_view user = before_colon(spec.user());
    const std::string_view group = after_colon(spec.user()).empty() ? user : after_colon(spec.user());
    if (group != "root" && group != "daemon" && group != "tty" && group != "nogroup")
        text += host_line("/etc/group", group);
    return text;
}

core::Result<TaskUser> task_owner(const wire::TaskSpec& spec) {
    if (spec.rootfs_size() == 0) return find_user(spec.user(), host_root_passwd(spec), host_root_group(spec));
    return find_user(spec.user(), read_in_layers(spec, "etc/passwd"), read_in_layers(spec, "etc/group"));
}

}  // namespace smackd::agent
