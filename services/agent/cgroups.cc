#include "services/agent/cgroups.h"

#include <dirent.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <memory>
#include <set>

#include "core/result.h"
#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

constexpr std::array<const char*, 5> kControllers = {"cpu", "cpuacct", "cpuset", "memory", "pids"};
constexpr uint64_t kQuotaPeriodUs = 100'000;
constexpr uint32_t kDefaultCpusMilli = 100;
constexpr uint32_t kDefaultPids = 4096;
constexpr int kKillRounds = 100;

std::vector<std::string_view> words_of(std::string_view text, char separator) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const size_t end = text.find(separator);
        words.push_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return words;
}

uint64_t parse_number(std::string_view text) {
    uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);  // "max" and the like are 0
    return number;
}

// Of a "key value" file the value of `key`; of a file with one number that number.
uint64_t number_in(std::string_view text, std::string_view key) {
    if (key.empty()) return parse_number(text);
    for (std::string_view line : words_of(text, '\n')) {
        if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ')
            return parse_number(line.substr(key.size() + 1));
    }
    return 0;
}

// Whatever the umask: on older kernels a task's own ids walk down to its group when v2's tree is mounted for
// it.
bool make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return false;
    return ::chmod(path.c_str(), 0755) == 0;
}

std::vector<std::string> subdirectories(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) return names;
    while (const dirent* entry =
               ::readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    return names;
}

// v1's cpuset lets nobody into a group before it says what is allowed there: all of the machine's, here and
// by inheritance in the groups of tasks.
Stepped<void> open_cpuset(const std::string& point, const std::string& top) {
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
        const std::string all = read_small_file(point + file).value_or("");
        const std::string mine = read_small_file(top + file).value_or("");
        if (mine == all) continue;
        const int error_number = write_small_file(top + file, all);
        const bool joinable = mine.find_first_not_of('\n') != std::string::npos;  // with what it had
        if (error_number != 0 && !joinable) return fail_step_with("cgroup", error_number, top + file);
    }
    const std::string inherit = top + "/cgroup.clone_children";
    const int error_number = write_small_file(inherit, "1");
    if (error_number != 0) return fail_step_with("cgroup", error_number, inherit);
    return {};
}

}  // namespace

CgroupLayout parse_cgroup_layout(std::string_view mountinfo) {
    CgroupLayout layout;
    for (std::string_view line : words_of(mountinfo, '\n')) {
        const auto fields = words_of(line, ' ');
        const auto dash = std::ranges::find(fields, "-");
        if (fields.size() < 7 || fields.end() - dash < 4) continue;
        const std::string point(fields[4]);
        if (dash[1] == "cgroup2" && layout.v2.empty()) layout.v2 = point;
        if (dash[1] != "cgroup") continue;
        for (std::string_view option : words_of(dash[3], ',')) {
            if (std::ranges::find(kControllers, option) != kControllers.end())
                layout.v1.try_emplace(std::string(option), point);
        }
    }
    layout.controllers_on_v2 = layout.v1.empty() && !layout.v2.empty();
    return layout;
}

std::vector<CgroupSetting> cgroup_settings(bool v2, const wire::TaskLimits& limits) {
    std::vector<CgroupSetting> settings;
    const uint64_t milli = limits.cpus_milli() == 0 ? kDefaultCpusMilli : limits.cpus_milli();
    const uint64_t shares = std::clamp<uint64_t>(milli * 1024 / 1000, 2, 262144);
    const uint64_t quota = uint64_t{limits.cpus_limit_milli()} * kQuotaPeriodUs / 1000;
    const std::string memory = std::format("{}", limits.memory_bytes());
    if (v2) {
        settings.push_back({"cpu", "cpu.weight", std::format("{}", 1 + (shares - 2) * 9999 / 262142)});
        if (quota > 0) settings.push_back({"cpu", "cpu.max", std::format("{} {}", quota, kQuotaPeriodUs)});
        if (limits.memory_bytes() > 0) {
            settings.push_back({"memory", "memory.max", memory});
            settings.push_back({"memory", "memory.swap.max", "0", true});
            settings.push_back({"memory", "memory.oom.group", "1", true});
        }
    } else {
        settings.push_back({"cpu", "cpu.shares", std::format("{}", shares)});
        if (quota > 0) {
            settings.push_back({"cpu", "cpu.cfs_period_us", std::format("{}", kQuotaPeriodUs)});
            settings.push_back({"cpu", "cpu.cfs_quota_us", std::format("{}", quota)});
        }
        if (limits.memory_bytes() > 0) {
            settings.push_back({"memory", "memory.limit_in_bytes", memory});
            settings.push_back({"memory", "memory.memsw.limit_in_bytes", memory, true});
        }
    }
    settings.push_back(
        {"pids", "pids.max", std::format("{}", limits.pids() == 0 ? kDefaultPids : limits.pids())});
    return settings;
}

Stepped<CgroupTree> CgroupTree::find(const std::string& name) {
    const auto mountinfo = read_small_file("/proc/self/mountinfo");
    if (!mountinfo) return fail_step("cgroup", "/proc/self/mountinfo");
    CgroupTree tree;
    tree.layout_ = parse_cgroup_layout(*mountinfo);
    tree.top_ = "smackd-" + name;
    return tree;
}

Stepped<CgroupTree> CgroupTree::open(const std::string& name) {
    TRY_ASSIGN(CgroupTree tree, find(name));
    if (tree.layout_.controllers_on_v2) {
        for (const char* controller : {"+cpu", "+memory", "+pids"}) {
            // Refused where it is not available; the limit that needs it then says so.
            (void)write_small_file(tree.layout_.v2 + "/cgroup.subtree_control", controller);
        }
    }
    for (const std::string& directory : tree.directories("")) {
        if (!make_directory(directory)) return fail_step("cgroup", directory);
    }
    if (const auto found = tree.layout_.v1.find("cpuset"); found != tree.layout_.v1.end())
        TRY(open_cpuset(found->second, tree.directory("cpuset", "")));
    if (tree.layout_.controllers_on_v2) {
        for (const char* controller : {"+cpu", "+memory", "+pids"})
            (void)write_small_file(tree.directory("", "") + "/cgroup.subtree_control", controller);
    }
    return tree;
}

std::string CgroupTree::directory(const std::string& controller, const std::string& group) const {
    const auto found = layout_.v1.find(controller);
    const std::string& point = found == layout_.v1.end() ? layout_.v2 : found->second;
    return group.empty() ? point + "/" + top_ : point + "/" + top_ + "/" + group;
}

std::vector<std::string> CgroupTree::directories(const std::string& group) const {
    std::vector<std::string> all;
    for (const auto& [controller, point] : layout_.v1) {
        std::string path = directory(controller, group);
        if (std::ranges::find(all, path) == all.end())
            all.push_back(std::move(path));  // cpu,cpuacct: one mount
    }
    if (!layout_.v2.empty()) all.push_back(directory("", group));
    return all;
}

Stepped<void> CgroupTree::make(const std::string& group, const wire::TaskLimits& limits) const {
    for (const std::string& path : directories(group)) {
        if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_step("cgroup", path);
    }
    for (const CgroupSetting& setting : cgroup_settings(layout_.controllers_on_v2, limits)) {
        const std::string path = directory(setting.controller, group) + "/" + setting.file;
        const int error_number = write_small_file(path, setting.value);
        if (error_number != 0 && !setting.optional)
            return fail_step_with("cgroup", error_number, path + "=" + setting.value);
    }
    return {};
}

Stepped<Descriptor> CgroupTree::v2_directory(const std::string& group) const {
    if (layout_.v2.empty()) return Descriptor();
    const std::string path = directory("", group);
    Descriptor opened(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return fail_step("cgroup", path);
    return opened;
}

Stepped<std::vector<Descriptor>> CgroupTree::v1_join_files(const std::string& group) const {
    std::vector<Descriptor> files;
    for (const std::string& path : directories(group)) {
        if (!layout_.v2.empty() && path.starts_with(layout_.v2 + "/" + top_)) continue;
        files.emplace_back(::open((path + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
        if (!files.back()) return fail_step("cgroup", path + "/tasks");
    }
    return files;
}

Stepped<void> CgroupTree::add(const std::string& group, int pid) const {
    for (const std::string& path : directories(group)) {
        const int error_number = write_small_file(path + "/cgroup.procs", std::format("{}", pid));
        if (error_number != 0) return fail_step_with("cgroup", error_number, path + "/cgroup.procs");
    }
    return {};
}

uint64_t CgroupTree::number(const std::string& controller, const std::string& group, const std::string& file,
                            std::string_view key) const {
    const auto text = read_small_file(directory(controller, group) + "/" + file);
    return text ? number_in(*text, key) : 0;
}

uint64_t CgroupTree::out_of_memory_kills(const std::string& group) const {
    if (layout_.controllers_on_v2) return number("", group, "memory.events", "oom_kill");
    return number("memory", group, "memory.oom_control", "oom_kill");
}

wire::TaskUsage CgroupTree::usage(const std::string& group) const {
    wire::TaskUsage usage;
    if (layout_.controllers_on_v2) {
        usage.set_cpu_user_us(number("", group, "cpu.stat", "user_usec"));
        usage.set_cpu_system_us(number("", group, "cpu.stat", "system_usec"));
        usage.set_throttled_us(number("", group, "cpu.stat", "throttled_usec"));
        usage.set_memory_bytes(number("", group, "memory.current"));
        usage.set_memory_peak_bytes(number("", group, "memory.peak"));
        usage.set_memory_rss_bytes(number("", group, "memory.stat", "anon"));
        usage.set_memory_limit_bytes(number("", group, "memory.max"));
    } else {
        usage.set_cpu_user_us(number("cpuacct", group, "cpuacct.usage_user") / 1000);
        usage.set_cpu_system_us(number("cpuacct", group, "cpuacct.usage_sys") / 1000);
        usage.set_throttled_us(number("cpu", group, "cpu.stat", "throttled_time") / 1000);
        usage.set_memory_bytes(number("memory", group, "memory.usage_in_bytes"));
        usage.set_memory_peak_bytes(number("memory", group, "memory.max_usage_in_bytes"));
        usage.set_memory_rss_bytes(number("memory", group, "memory.stat", "total_rss"));
        const uint64_t limit = number("memory", group, "memory.limit_in_bytes");
        usage.set_memory_limit_bytes(limit > (uint64_t{1} << 60U) ? 0
                                                                  : limit);  // "unlimited" is a huge number
    }
    usage.set_out_of_memory_kills(out_of_memory_kills(group));
    usage.set_pids(static_cast<uint32_t>(number("pids", group, "pids.current")));
    return usage;
}

CgroupTree::OutOfMemoryNotice CgroupTree::out_of_memory_notice(const std::string& group) const {
    OutOfMemoryNotice notice;
    if (layout_.controllers_on_v2) {
        notice.descriptor = Descriptor(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        const std::string path = directory("", group) + "/memory.events";
        if (::inotify_add_watch(notice.descriptor.get(), path.c_str(), IN_MODIFY) < 0)
            notice.descriptor.reset();
        return notice;
    }
    const std::string path = directory("memory", group);
    notice.kept = Descriptor(::open((path + "/memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
    notice.descriptor = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::string order = std::format("{} {}", notice.descriptor.get(), notice.kept.get());
    if (!notice.kept || write_small_file(path + "/cgroup.event_control", order) != 0)
        notice.descriptor.reset();
    return notice;
}

std::vector<int> CgroupTree::processes(const std::string& group) const {
    std::set<int> all;
    for (const std::string& path : directories(group)) {
        const auto text = read_small_file(path + "/cgroup.procs");
        if (!text) continue;
        for (std::string_view line : words_of(*text, '\n')) {
            const int pid = static_cast<int>(parse_number(line));
            if (pid > 0) all.insert(pid);  // 0: of a pid namespace we do not see
        }
    }
    return {all.begin(), all.end()};
}

void CgroupTree::kill(const std::string& group) const {
    if (!layout_.v2.empty() && write_small_file(directory("", group) + "/cgroup.kill", "1") == 0) {
        if (layout_.v1.empty()) return;
    }
    // Kernels before 5.14, and what is in the v1 groups only. Each round meets what was forked during the
    // last one.
    for (int round = 0; round < kKillRounds; round++) {
        const std::vector<int> pids = processes(group);
        if (pids.empty()) return;
        for (const int pid : pids) ::kill(pid, SIGKILL);
        ::usleep(1000);
    }
}

bool CgroupTree::remove(const std::string& group) const {
    bool gone = true;
    for (const std::string& path : directories(group)) {
        for (const std::string& below : subdirectories(path)) ::rmdir((path + "/" + below).c_str());
        if (::rmdir(path.c_str()) != 0 && errno != ENOENT) gone = false;
    }
    return gone;
}

std::vector<std::string> CgroupTree::list() const {
    std::set<std::string> all;
    for (const std::string& path : directories("")) {
        for (std::string& name : subdirectories(path)) all.insert(std::move(name));
    }
    return {all.begin(), all.end()};
}

void CgroupTree::remove_top() const {
    for (const std::string& path : directories("")) ::rmdir(path.c_str());
}

}  // namespace smackd::agent
