#include "services/agent/root_plan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <format>
#include <memory>
#include <optional>

#include "services/agent/mounts.h"
#include "services/agent/small_file.h"
#include "services/agent/task_owner.h"

namespace smackd::agent {
namespace {

using Kind = RootPart::Kind;

constexpr uint64_t kHostFiles = kReadOnly | kNoSetuid | kNoDevices;
constexpr uint64_t kScratch = kNoSetuid | kNoDevices;
constexpr uint32_t kTerminalGroup = 5;

// Seen by a task without an image. Not all of /etc/ssl: its private keys are the host's.
constexpr std::array kHostDirectories = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
constexpr std::array kHostEtc = {"/etc/ssl/certs",       "/etc/ssl/openssl.cnf", "/etc/alternatives",
                                 "/etc/ca-certificates", "/etc/ld.so.cache",     "/etc/localtime",
                                 "/etc/mime.types",      "/etc/services",        "/etc/protocols"};

// What the kernel shows of the whole machine and tasks have no business with. Those of the second list belong
// to root and are out of reach in a user namespace by that alone.
constexpr std::array kMaskedAlways = {
    "/proc/acpi", "/proc/asound",     "/proc/keys",    "/proc/latency_stats",
    "/proc/scsi", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"};
constexpr std::array kMaskedFromRoot = {"/proc/kcore", "/proc/timer_list", "/proc/timer_stats",
                                        "/proc/sched_debug"};
constexpr std::array kReadOnlyForRoot = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                         "/proc/sysrq-trigger"};

bool is_symlink(const char* path, std::string& target) {
    std::array<char, 4096> buffer{};
    const ssize_t length = ::readlink(path, buffer.data(), buffer.size());
    if (length <= 0) return false;
    target.assign(buffer.data(), static_cast<size_t>(length));
    return true;
}

std::optional<bool> is_directory(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return std::nullopt;
    return S_ISDIR(found.st_mode);
}

void add_host_path(RootPlan& plan, const std::string& path) {
    const std::optional<bool> directory = is_directory(path);
    if (!directory) return;
    RootPart part{Kind::kCopy, "host files", path, path, kHostFiles};
    part.file = !*directory;
    plan.parts.push_back(std::move(part));
}

// A JVM reads its security settings through links to /etc/java-NN-openjdk.
std::vector<std::string> java_settings() {
    std::vector<std::string> paths;
    const std::unique_ptr<DIR, int (*)(DIR*)> etc(::opendir("/etc"), ::closedir);
    if (!etc) return paths;
    while (const dirent* entry =
               ::readdir(etc.get())) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
        const std::string name = entry->d_name;
        if (name.starts_with("java-") && name.ends_with("-openjdk")) paths.push_back("/etc/" + name);
    }
    return paths;
}

void plan_host_root(RootPlan& plan, const wire::TaskSpec& spec) {
    std::string target;
    for (const char* path : kHostDirectories) {
        if (is_symlink(path, target)) {
            plan.links.emplace_back(path, target);
        } else {
            add_host_path(plan, path);
        }
    }
    for (const char* path : kHostEtc) add_host_path(plan, path);
    for (const std::string& path : java_settings()) add_host_path(plan, path);
    // A user by number only is fine; these are for programs that ask for a name.
    plan.files.emplace_back("/etc/passwd", host_root_passwd(spec));
    plan.files.emplace_back("/etc/group", host_root_group(spec));
    plan.files.emplace_back("/etc/nsswitch.conf",
                            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n");
}

std::string hosts_text(const wire::TaskSpec& spec) {
    const std::string name = spec.hostname().empty() ? "task" : spec.hostname();
    std::string text = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";
    const std::string& address = spec.network().address();
    text += std::format("{} {}\n", address.empty() ? "127.0.1.1" : address, name);
    for (const wire::TaskHost& host : spec.network().hosts()) {
        text += host.address();
        for (const std::string& other : host.names()) text += " " + other;
        text += "\n";
    }
    return text;
}

std::string resolver_text(const wire::TaskSpec& spec, const RootContext& context) {
    std::string text;
    for (const std::string& server : spec.network().dns_servers()) text += "nameserver " + server + "\n";
    if (text.empty() && spec.network().mode() == wire::TaskNetwork::BRIDGE && !context.gateway.empty())
        text = "nameserver " + context.gateway + "\n";
    if (text.empty() && spec.network().mode() == wire::TaskNetwork::HOST)
        return read_small_file("/etc/resolv.conf").value_or("");
    if (spec.network().dns_search_size() > 0) {
        text += "search";
        for (const std::string& domain : spec.network().dns_search()) text += " " + domain;
        text += "\n";
    }
    return text;
}

void plan_etc(RootPlan& plan, const wire::TaskSpec& spec, const RootContext& context) {
    plan.files.emplace_back("/etc/hosts", hosts_text(spec));
    plan.files.emplace_back("/etc/hostname", (spec.hostname().empty() ? "task" : spec.hostname()) + "\n");
    plan.files.emplace_back("/etc/resolv.conf", resolver_text(spec, context));
}

RootPart scratch(const std::string& target, uint64_t bytes) {
    RootPart part{Kind::kTmpfs, "private " + target, "", target, kScratch};
    part.size = bytes == 0 ? kDefaultTmpBytes : bytes;
    part.mode = 01777;
    return part;
}

void plan_kernel(RootPlan& plan, const wire::TaskSpec& spec, const RootContext& context) {
    const uint64_t attributes = kReadOnly | kNoSetuid | kNoDevices | kNoExecute;
    if (context.own_network) {
        plan.parts.push_back({Kind::kSysfs, "/sys", "", "/sys", attributes});
    } else {
        plan.parts.push_back({Kind::kCopy, "/sys", "/sys", "/sys", attributes});
    }
    plan.parts.push_back({Kind::kDevices, "/dev", "", "/dev", kReadOnly | kNoSetuid | kNoExecute});
    plan.parts.push_back({Kind::kTerminals, "/dev/pts", "", "/dev/pts", kNoSetuid | kNoExecute});
    plan.parts.push_back(scratch("/dev/shm", spec.limits().tmp_bytes()));
    if (spec.privileged()) return;
    const auto mask = [&](const char* path) {
        const std::optional<bool> directory = is_directory(path);
        if (!directory) return;
        RootPart part{Kind::kCopy, "masked path", "/dev/null", path, attributes};
        part.file = !*directory;
        if (*directory) part.kind = Kind::kTmpfs;
        part.size = 4096;
        part.optional = true;
        plan.parts.push_back(std::move(part));
    };
    for (const char* path : kMaskedAlways) mask(path);
    if (context.user_base != 0) return;
    for (const char* path : kMaskedFromRoot) mask(path);
}

// Programs that size themselves by their limits (JVMs) read them here. v2's own tree is mounted by the task's
// process.
void plan_cgroups(RootPlan& plan, const RootContext& context) {
    if (context.cgroups == nullptr) return;
    plan.cgroup2 = context.cgroups->layout().controllers_on_v2;
    if (plan.cgroup2) return;
    RootPart top{Kind::kTmpfs, "/sys/fs/cgroup", "", "/sys/fs/cgroup", kNoSetuid | kNoDevices | kNoExecute};
    top.size = 65536;
    plan.parts.push_back(std::move(top));
    for (const char* controller : {"cpu", "cpuacct", "cpuset", "memory"}) {
        if (!context.cgroups->layout().v1.contains(controller)) continue;
        plan.parts.push_back(
            {Kind::kCopy, "/sys/fs/cgroup", context.cgroups->directory(controller, context.group),
             std::string("/sys/fs/cgroup/") + controller, kReadOnly | kNoSetuid | kNoDevices | kNoExecute});
    }
}

void plan_storage(RootPlan& plan, const wire::TaskSpec& spec) {
    if (!plan.image) plan.parts.push_back(scratch("/tmp", spec.limits().tmp_bytes()));
    if (!spec.sandbox().empty()) {
        const std::string& path = spec.sandbox_path();
        plan.parts.push_back(
            {Kind::kCopy, "sandbox", spec.sandbox(), path.empty() ? kDefaultSandboxPath : path, kScratch});
    }
    for (const wire::TaskVolume& volume : spec.volumes()) {
        RootPart part{Kind::kCopy, "volume", volume.host_path(), volume.task_path(), kScratch};
        if (volume.read_only()) part.attributes |= kReadOnly;
        part.file = is_directory(volume.host_path()) == std::optional<bool>(false);
        part.id_mapped = true;
        plan.parts.push_back(std::move(part));
    }
}

/// Last: over what volumes have put there.
void plan_identity(RootPlan& plan, const wire::TaskSpec& spec) {
    if (spec.identity().empty()) return;
    const std::string& path = spec.identity_path();
    RootPart part{Kind::kCopy, "identity", spec.identity(), path.empty() ? kDefaultIdentityPath : path,
                  kReadOnly | kNoSetuid | kNoDevices | kNoExecute};
    part.dispensable = true;
    plan.parts.push_back(std::move(part));
}

bool is_kernels(const std::string& target) {
    return target.starts_with("/proc/") || target.starts_with("/sys/") || target.starts_with("/dev/");
}

// What it cannot take is made in the finished root.
void plan_skeleton(RootPlan& plan, const wire::TaskSpec& spec) {
    SkeletonPlan skeleton({spec.rootfs().begin(), spec.rootfs().end()});
    std::erase_if(plan.files, [&](const auto& file) { return skeleton.add_file(file.first, file.second); });
    skeleton.add_mount_point("/proc", false);
    for (const RootPart& part : plan.parts) {
        if (!is_kernels(part.target)) skeleton.add_mount_point(part.target, part.file);
    }
    plan.skeleton = skeleton.take();
}

Stepped<Descriptor> make_devices(uint32_t user_base) {
    struct Node {
        const char* name;
        unsigned major;
        unsigned minor;
    };
    const char* step = "/dev";
    auto mounted = detached_file_system(step, "tmpfs",
                                        {{"mode", "0755"},
                                         {"size", "64k"},
                                         {"uid", std::format("{}", user_base)},
                                         {"gid", std::format("{}", user_base)}},
                                        kNoSetuid | kNoExecute);
    if (!mounted) return mounted;
    const int at = mounted->get();
    for (const Node& node : {Node{"null", 1, 3}, Node{"zero", 1, 5}, Node{"full", 1, 7}, Node{"random", 1, 8},
                             Node{"urandom", 1, 9}, Node{"tty", 5, 0}}) {
        if (::mknodat(at, node.name, S_IFCHR | 0666, ::makedev(node.major, node.minor)) != 0 ||
            ::fchmodat(at, node.name, 0666, 0) != 0 ||
            ::fchownat(at, node.name, user_base, user_base, AT_SYMLINK_NOFOLLOW) != 0)
            return fail_step(step, node.name);
    }
    for (const auto& [name, target] :
         {std::pair{"fd", "/proc/self/fd"}, std::pair{"stdin", "/proc/self/fd/0"},
          std::pair{"stdout", "/proc/self/fd/1"}, std::pair{"stderr", "/proc/self/fd/2"},
          std::pair{"ptmx", "pts/ptmx"}}) {
        if (::symlinkat(target, at, name) != 0) return fail_step(step, name);
    }
    for (const char* name : {"pts", "shm", "mqueue"}) {
        if (::mkdirat(at, name, 0755) != 0) return fail_step(step, name);
    }
    return mounted;
}

Stepped<Overlay> make_root(const wire::TaskSpec& spec, const RootContext& context, const RootPlan& plan,
                           int user_namespace) {
    if (!plan.image) {
        Overlay only;
        TRY_ASSIGN(only.mount, detached_file_system("host root", "tmpfs",
                                                    {{"mode", "0755"},
                                                     {"size", "1m"},
                                                     {"uid", std::format("{}", context.user_base)},
                                                     {"gid", std::format("{}", context.user_base)}},
                                                    kNoSetuid | kNoDevices));
        return only;
    }
    OverlayLayers layers;
    layers.lower.assign(spec.rootfs().begin(), spec.rootfs().end());
    layers.user_namespace = user_namespace;
    layers.upper = context.task_directory + "/upper";
    layers.work = context.task_directory + "/work";
    layers.staging = context.task_directory + "/staging";
    for (const std::string& path : {layers.upper, layers.work}) {
        if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_step("overlay root", path);
    }
    // The merged root is the upper's: it belongs to the task's root.
    if (::chown(layers.upper.c_str(), context.user_base, context.user_base) != 0)
        return fail_step("overlay root", layers.upper);
    TRY_ASSIGN(layers.top, make_skeleton(plan.skeleton, context.user_base));
    auto made = detached_overlay(std::move(layers));
    if (!made) return made;
    TRY(change_mount("overlay root", made->mount.get(), kNoDevices | (spec.privileged() ? 0 : kNoSetuid)));
    return made;
}

Stepped<Descriptor> make_part(const RootPart& part, const RootContext& context, int user_namespace) {
    const std::string base = std::format("{}", context.user_base);
    switch (part.kind) {
        case Kind::kTmpfs:
            return detached_file_system(part.step, "tmpfs",
                                        {{"mode", std::format("{:o}", part.mode)},
                                         {"size", std::format("{}", part.size)},
                                         {"uid", base},
                                         {"gid", base}},
                                        part.attributes);
        case Kind::kDevices: {
            auto mounted = make_devices(context.user_base);
            if (mounted) TRY(change_mount(part.step, mounted->get(), part.attributes));
            return mounted;
        }
        case Kind::kTerminals:
            return detached_file_system(part.step, "devpts",
                                        {{"ptmxmode", "0666"},
                                         {"mode", "0620"},
                                         {"gid", std::format("{}", context.user_base + kTerminalGroup)}},
                                        part.attributes);
        case Kind::kSysfs:
            return detached_file_system(part.step, "sysfs", {}, part.attributes);
        case Kind::kCopy:
            break;
    }
    auto copy = detached_copy(part.step, part.source, part.recursive);
    if (!copy) return copy;
    const bool mapped = part.id_mapped && user_namespace >= 0;
    TRY(change_mount(part.step, copy->get(), part.attributes | (mapped ? kIdMapped : 0), part.recursive,
                     mapped ? user_namespace : -1));
    return copy;
}

// Written anew: an image may have a link there, which must not be followed.
Stepped<void> write_file(int root, const std::string& path, const std::string& text) {
    const char* step = "files of the root";
    const size_t slash = path.find_last_of('/');
    TRY_ASSIGN(const Descriptor directory, make_in_root(step, root, path.substr(0, slash), false));
    const std::string name = path.substr(slash + 1);
    if (::unlinkat(directory.get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_step(step, path);
    const Descriptor file(
        ::openat(directory.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_step(step, path);
    return {};
}

Stepped<void> mount_on(int root, const char* type, const char* target, unsigned long flags,
                       const char* step) {
    TRY_ASSIGN(const Descriptor directory, make_in_root(step, root, target, false));
    const std::string path = std::format("/proc/self/fd/{}", directory.get());
    if (::mount(type, path.c_str(), type, flags, nullptr) != 0) return fail_step(step, target);
    return {};
}

Stepped<void> read_only_for_root(const RootPlan& plan, int root) {
    const char* step = "read-only path";
    for (const std::string& path : plan.read_only_paths) {
        const Descriptor copy(::open_tree(root, path.c_str() + 1, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        if (!copy) continue;  // not in this kernel
        TRY(change_mount(step, copy.get(), kReadOnly));
        TRY(attach_mount(step, copy.get(), root, path.substr(1)));
    }
    return {};
}

}  // namespace

RootPlan plan_root(const wire::TaskSpec& spec, const RootContext& context) {
    RootPlan plan;
    plan.image = spec.rootfs_size() > 0;
    plan.read_only = !plan.image || spec.read_only_root();
    if (!plan.image) plan_host_root(plan, spec);
    plan_etc(plan, spec, context);
    plan_kernel(plan, spec, context);
    plan_cgroups(plan, context);
    plan_storage(plan, spec);
    plan_identity(plan, spec);
    if (plan.image) plan_skeleton(plan, spec);
    if (context.user_base == 0 && !spec.privileged()) {
        plan.read_only_paths.assign(kReadOnlyForRoot.begin(), kReadOnlyForRoot.end());
    }
    return plan;
}

Stepped<RootMounts> make_mounts(const wire::TaskSpec& spec, const RootContext& context, const RootPlan& plan,
                                int user_namespace) {
    RootMounts all;
    TRY_ASSIGN(Overlay root, make_root(spec, context, plan, user_namespace));
    all.mounts.push_back(std::move(root.mount));
    all.layers = std::move(root.layers);
    for (const RootPart& part : plan.parts) {
        TRY_ASSIGN(Descriptor made, make_part(part, context, user_namespace));
        all.mounts.push_back(std::move(made));
    }
    return all;
}

Stepped<Descriptor> attach_root(const RootContext& context, int root_mount) {
    const char* step = "root";
    // Nothing that is mounted here from now on shows on the host.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_step(step, "/");
    const std::string& at = context.task_directory;
    TRY(attach_mount(step, root_mount, AT_FDCWD, at));
    Descriptor root(::open(at.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return fail_step(step, at);
    if (::fchdir(root.get()) != 0) return fail_step(step, at);
    return root;
}

Stepped<void> enter_root(const RootPlan& plan, int root, const std::vector<Descriptor>& mounts) {
    TRY_ASSIGN(const Descriptor proc_directory, make_in_root("/proc", root, "/proc", false));
    // By its path in the root, while the host's /proc is still the one at /proc.
    if (::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
        return fail_step("/proc", "proc");
    for (const auto& [path, target] : plan.links) {
        if (::symlinkat(target.c_str(), root, path.c_str() + 1) != 0) return fail_step("host files", path);
    }
    for (const auto& [path, text] : plan.files) TRY(write_file(root, path, text));
    for (size_t i = 0; i < plan.parts.size(); i++) {
        const RootPart& part = plan.parts[i];
        if (part.optional && ::faccessat(root, part.target.c_str() + 1, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        auto target = make_in_root(part.step, root, part.target, part.file);
        if (!target && part.dispensable) continue;
        if (!target) return std::unexpected(std::move(target.error()));
        TRY(attach_mount_at(part.step, mounts[i + 1].get(), target->get()));
    }
    if (plan.cgroup2) {
        TRY(mount_on(root, "cgroup2", "/sys/fs/cgroup", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     "/sys/fs/cgroup"));
    }
    TRY(mount_on(root, "mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, "/dev/mqueue"));
    TRY(read_only_for_root(plan, root));
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_step("pivot_root");
    // The old root is stacked on the new one; "." still names it.
    if (::umount2(".", MNT_DETACH) != 0) return fail_step("pivot_root", "umount2");
    if (::chdir("/") != 0) return fail_step("pivot_root", "chdir");
    if (!plan.read_only) return {};
    struct mount_attr change{};
    change.attr_set = kReadOnly;
    if (::mount_setattr(AT_FDCWD, "/", 0, &change, sizeof(change)) != 0) return fail_step("read-only root");
    return {};
}

}  // namespace smackd::agent
