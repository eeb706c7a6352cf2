#include "cmd/smackd/doctor/machine.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <format>
#include <optional>

#include "core/units.h"
#include "net/netlink/links.h"
#include "net/netlink/nftables.h"
#include "services/agent/cgroups.h"
#include "services/agent/kernel.h"
#include "services/agent/small_file.h"
#include "services/agent/subnet.h"

namespace smackd::cmd {
namespace {

constexpr const char* kForward = "/proc/sys/net/ipv4/ip_forward";
constexpr std::string_view kNoTasksFix = "smackd start --no-tasks";
constexpr uint64_t kUnlimited = 1ULL << 60U;  // v1 says "no limit" with a number near 2^63

Finding check_clock_service() {
    timex state{};
    const int answer = ::adjtimex(&state);
    if (answer == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
        return warned("time service", "the kernel says that nothing keeps this clock in step",
                      "run a time service: Kerberos refuses clocks that differ by 5 minutes",
                      install_command("chrony", "chrony && systemctl enable --now chronyd"));
    }
    return fine("time service", "this clock is kept in step");
}

Finding check_kernel() {
    if (auto fit = agent::check_kernel(); !fit)
        return failed("kernel", fit.error().message, "install a newer kernel, or run no tasks here",
                      install_command("linux-image-amd64 && reboot", "kernel && reboot"));
    return fine("kernel", "this kernel can run tasks");
}

// Tasks of images and of users run in one; a child tries, since there is no way back out of it.
Finding check_user_namespaces() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return warned("user namespaces", "could not be tried", "run the doctor again", "smackd doctor");
    if (WEXITSTATUS(status) == 0) return fine("user namespaces", "can be made");
    const std::string most = agent::read_small_file("/proc/sys/user/max_user_namespaces").value_or("");
    if (most.starts_with("0"))
        return failed("user namespaces", "none can be made: user.max_user_namespaces is 0",
                      "allow them; tasks run as users of their own in them",
                      "sysctl -w user.max_user_namespaces=15000");
    return failed("user namespaces", std::format("none can be made: {}", std::strerror(WEXITSTATUS(status))),
                  "run smackd as root outside of containers that forbid them, or run no tasks here",
                  std::string(kNoTasksFix));
}

Finding check_overlay() {
    const int context = ::fsopen("overlay", FSOPEN_CLOEXEC);
    if (context >= 0) {
        ::close(context);
        return fine("overlay", "this kernel has overlayfs");
    }
    if (errno == EPERM) return fine("overlay", "only root can see whether this kernel has overlayfs");
    return failed("overlay",
                  std::format("this kernel has no overlayfs ({}): images cannot run", std::strerror(errno)),
                  "load the module, or install the kernel's package that has it", "modprobe overlay");
}

Finding check_nftables() {
    auto there = net::netlink::check_nftables();
    if (there) return fine("nftables", "this kernel has nftables");
    return failed("nftables", there.error().message + ": tasks would have no network of their own",
                  "load the module, or install the kernel's package that has it", "modprobe nf_tables");
}

Finding check_groups() {
    const std::string mounts = agent::read_small_file("/proc/self/mountinfo").value_or("");
    const agent::CgroupLayout layout = agent::parse_cgroup_layout(mounts);
    if (!layout.controllers_on_v2 && !layout.v1.contains("memory"))
        return failed("control groups", "no control groups with the memory controller are mounted",
                      "mount them; a container must be given them by whoever runs it",
                      "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    const std::string at = layout.controllers_on_v2 ? layout.v2 : layout.v1.at("memory");
    struct statvfs info{};
    if (::statvfs(at.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0)
        return failed("control groups", std::format("{} is read-only: no group can be made for a task", at),
                      "mount it so that it can be written", std::format("mount -o remount,rw {}", at));
    std::string missing;
    const std::string on_v2 = agent::read_small_file(layout.v2 + "/cgroup.controllers").value_or("");
    for (const char* one : {"cpu", "memory", "pids"}) {
        const bool there = layout.controllers_on_v2 ? on_v2.contains(one) : layout.v1.contains(one);
        if (!there) missing += std::string(missing.empty() ? "" : ", ") + one;
    }
    if (!missing.empty())
        return failed("control groups", std::format("the controllers {} are missing", missing),
                      "let the kernel have them (boot option cgroup_enable), then boot again",
                      "sed -i 's/GRUB_CMDLINE_LINUX=\"/&cgroup_enable=memory /' /etc/default/grub && "
                      "update-grub && reboot");
    return fine("control groups", layout.controllers_on_v2 ? "v2" : "v1, with the controllers tasks need");
}

// smackd switches it on with the bridge; what it cannot do, or what somebody undid, is told.
Finding check_forwarding(const std::string& agent) {
    const std::string value = agent::read_small_file(kForward).value_or("");
    if (value.starts_with("1")) return fine("forwarding", "net.ipv4.ip_forward is on");
    auto links = net::netlink::Links::open();
    const bool bridge = links && links->find("smk" + agent).has_value();
    const bool writable = ::access(kForward, W_OK) == 0;
    if (!bridge && writable) return fine("forwarding", "is switched on when the first task needs it");
    return failed("forwarding",
                  bridge ? "net.ipv4.ip_forward is 0: somebody switched it off, and no packet reaches a task"
                         : "net.ipv4.ip_forward is 0 and cannot be written here",
                  "switch it on, and keep other settings from switching it off again",
                  "sysctl -w net.ipv4.ip_forward=1");
}

Finding check_subnet(const core::Ipv4Prefix& network, const std::string& agent) {
    auto subnet = agent::free_subnet_here(network, agent);
    if (subnet) return fine("subnet of tasks", core::format_ipv4(subnet->address) + "/24 is free");
    return failed("subnet of tasks", subnet.error().message,
                  "give tasks another network (tasks.network), or narrow the route that covers this one; `ip "
                  "route` shows it",
                  "ip -4 route show");
}

std::optional<uint64_t> number_in(const std::string& path) {
    const auto text = agent::read_small_file(path);
    uint64_t number = 0;
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end == text->data()) return std::nullopt;  // "max"
    return number;
}

// The least of the group that the process is in and of those above it.
uint64_t group_memory_limit(int pid) {
    const std::string mounts = agent::read_small_file("/proc/self/mountinfo").value_or("");
    const agent::CgroupLayout layout = agent::parse_cgroup_layout(mounts);
    const std::string own = pid == 0 ? "self" : std::to_string(pid);
    const std::string groups = agent::read_small_file("/proc/" + own + "/cgroup").value_or("");
    const bool v2 = layout.controllers_on_v2;
    const auto v1 = layout.v1.find("memory");
    if (!v2 && v1 == layout.v1.end()) return 0;
    const std::string mark = v2 ? "0::" : ":memory:";
    const size_t at = groups.find(mark);
    if (at == std::string::npos) return 0;
    std::string path = groups.substr(at + mark.size(), groups.find('\n', at) - at - mark.size());
    uint64_t least = 0;
    while (true) {
        const std::string folder = (v2 ? layout.v2 : v1->second) + path;
        const auto limit = number_in(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
        if (limit && *limit < kUnlimited) least = least == 0 ? *limit : std::min(least, *limit);
        if (path.size() <= 1) return least;
        path.resize(path.rfind('/'));
    }
}

Finding check_memory(int pid) {
    const auto machine =
        static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    return judge_memory(machine, group_memory_limit(pid));
}

Finding check_descriptors(int pid) {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    if (pid == 0) return judge_descriptors(own.rlim_max);
    const auto limits = agent::read_small_file(std::format("/proc/{}/limits", pid));
    const uint64_t limit = limits ? parse_open_files_limit(*limits) : 0;
    return judge_descriptors(limit == 0 ? own.rlim_max : limit);
}

}  // namespace

Findings examine_machine(const MachineChecks& checks) {
    Findings out{check_clock_service(), check_memory(checks.daemon_pid),
                 check_descriptors(checks.daemon_pid)};
    if (!checks.tasks) return out;
    out.push_back(check_kernel());
    out.push_back(check_user_namespaces());
    out.push_back(check_overlay());
    out.push_back(check_nftables());
    out.push_back(check_groups());
    out.push_back(check_forwarding(checks.agent));
    out.push_back(check_subnet(checks.network, checks.agent));
    return out;
}

Finding judge_memory(uint64_t machine_bytes, uint64_t limit_bytes) {
    const bool limited = limit_bytes != 0 && limit_bytes < machine_bytes;
    const uint64_t bytes = limited ? limit_bytes : machine_bytes;
    std::string message = limited ? std::format("the control group may have {} of {}",
                                                core::format_bytes(bytes), core::format_bytes(machine_bytes))
                                  : std::format("{}", core::format_bytes(bytes));
    if (bytes >= kMemoryWarn) return fine("memory", std::move(message));
    message += std::format("; a node wants {} or more", core::format_bytes(kMemoryWarn));
    Finding finding = warned("memory", std::move(message),
                             limited ? "raise the limit of the group, or remove it"
                                     : "give the machine more memory, or at least room to swap",
                             limited ? "systemctl set-property smackd MemoryMax=infinity"
                                     : "fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap /swapfile "
                                       "&& swapon /swapfile");
    if (bytes < kMemoryFail) finding.verdict = Verdict::kFail;
    return finding;
}

Finding judge_descriptors(uint64_t limit) {
    const std::string message = std::format("at most {} open files", limit);
    if (limit >= kDescriptorsWarn) return fine("open files", message);
    Finding finding = warned(
        "open files",
        std::format("{}: connections, segments and logs of tasks want {} or more", message, kDescriptorsWarn),
        "raise LimitNOFILE of the service (or ulimit -n of the shell that starts it)",
        "mkdir -p /etc/systemd/system/smackd.service.d && printf "
        "'[Service]\\nLimitNOFILE=524288\\n' >/etc/systemd/system/smackd.service.d/files.conf && "
        "systemctl daemon-reload && systemctl restart smackd");
    if (limit < kDescriptorsFail) finding.verdict = Verdict::kFail;
    return finding;
}

uint64_t parse_open_files_limit(std::string_view limits) {
    const size_t at = limits.find("Max open files");
    if (at == std::string_view::npos) return 0;
    std::string_view line = limits.substr(at + std::strlen("Max open files"));
    line = line.substr(0, line.find('\n'));
    uint64_t number = 0;
    for (int column = 0; column < 2; ++column) {
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
        if (error != std::errc()) return 0;
        line.remove_prefix(static_cast<size_t>(end - line.data()));
    }
    return number;
}

}  // namespace smackd::cmd
