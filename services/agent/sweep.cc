#include "services/agent/sweep.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "services/agent/small_file.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

constexpr int kEmptyGroupTries = 200;
constexpr useconds_t kEmptyGroupPauseUs = 5000;

bool lives(const std::vector<wire::ShimPlan>& living, const std::string& task_id) {
    return std::ranges::any_of(living, [&](const auto& plan) { return plan.spec().task_id() == task_id; });
}

void sweep_group(const CgroupTree& cgroups, const std::string& group, std::vector<std::string>& removed) {
    const size_t processes = cgroups.processes(group).size();
    for (int tries = 0; tries < kEmptyGroupTries; tries++) {
        cgroups.kill(group);
        if (cgroups.remove(group)) break;
        ::usleep(kEmptyGroupPauseUs);
    }
    removed.push_back(std::format("group {} with {} processes", group, processes));
}

// Shims whose directory was taken from under them: nobody can reach them, so they are asked to end.
void sweep_shims(const std::string& agent, const std::vector<wire::ShimPlan>& living,
                 std::vector<std::string>& removed) {
    const std::string tasks = tasks_directory(agent) + "/";
    for (const std::string& name : names_in(AT_FDCWD, "/proc")) {
        int pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc() || end != name.data() + name.size()) continue;
        const auto command = read_small_file("/proc/" + name + "/cmdline");
        if (!command || !command->contains(std::string("\0shim\0", 6))) continue;
        std::array<char, 4096> target{};
        const ssize_t length = ::readlink(("/proc/" + name + "/fd/4").c_str(), target.data(), target.size());
        std::string directory(target.data(), length < 0 ? 0 : static_cast<size_t>(length));
        if (!directory.starts_with(tasks)) continue;
        directory.erase(0, tasks.size());
        if (lives(living, directory)) continue;
        ::kill(pid, SIGKILL);  // its task dies with it
        removed.push_back(std::format("shim {} of {}", pid, directory));
    }
}

void sweep_files(const std::string& agent, const std::vector<wire::ShimPlan>& living,
                 std::vector<std::string>& removed) {
    for (const std::string& task : names_in(AT_FDCWD, tasks_directory(agent))) {
        if (lives(living, task)) continue;
        auto directory = open_task_directory(agent, task);
        if (!directory) continue;
        for (const char* name : {"upper", "work", "staging", "root"}) {
            if (::faccessat(directory->get(), name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) continue;
            remove_tree(directory->get(), name);
            removed.push_back(std::format("files {}/{}", task, name));
        }
    }
}

}  // namespace

std::vector<wire::ShimPlan> living_tasks(const std::string& agent) {
    std::vector<wire::ShimPlan> living;
    for (const std::string& task : names_in(AT_FDCWD, tasks_directory(agent))) {
        auto directory = open_task_directory(agent, task);
        if (!directory || !is_locked(directory->get())) continue;
        auto plan = read_plan(directory->get());
        if (plan) living.push_back(std::move(*plan));
    }
    return living;
}

bool has_ended(const wire::ShimPlan& plan) {
    auto directory = open_task_directory(plan.directory(), plan.spec().task_id());
    return !directory || std::ranges::any_of(read_events(directory->get()), is_last_event);
}

std::vector<std::string> sweep_orphans(const std::string& agent, const CgroupTree& cgroups,
                                       const std::vector<wire::ShimPlan>& living) {
    std::vector<std::string> removed;
    sweep_shims(agent, living, removed);
    for (const std::string& group : cgroups.list()) {
        if (!lives(living, group)) sweep_group(cgroups, group, removed);
    }
    sweep_files(agent, living, removed);
    return removed;
}

}  // namespace smackd::agent
