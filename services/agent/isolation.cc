#include "services/agent/isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <format>
#include <vector>

#include "core/result.h"
#include "services/agent/descriptor_channel.h"
#include "services/agent/program.h"
#include "services/agent/small_file.h"
#include "services/agent/task_init.h"
#include "services/agent/users.h"

namespace smackd::agent {
namespace {

constexpr const char* kTaskOutOfMemoryScore = "300";  // before the daemon when the whole machine is short

// What both processes know; made before the clone.
struct Start {
    const IsolationRequest& request;
    RootPlan plan;
    std::vector<Descriptor> groups{};  // v1's `tasks` files
    Descriptor v2_group{};
    DescriptorChannel channel{};
    Descriptor status_read{};
    Descriptor status_write{};
};

// ---- in the task's process

Stepped<void> join_groups(const std::vector<Descriptor>& files) {
    for (const Descriptor& file : files) {
        // "0" is the writer: the kernel need not look up and lock another process.
        if (::write(file.get(), "0", 1) != 1) return fail_step("cgroup", "tasks");
    }
    // After joining, or the namespace's top would be the shim's group.
    if (::unshare(CLONE_NEWCGROUP) != 0) return fail_step("cgroup namespace");
    return {};
}

Stepped<void> become_root_of_namespace() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        return fail_step("user namespace", "setresuid");
    return {};
}

Stepped<void> set_standard_descriptors(const IsolationRequest& request) {
    if (request.spec.tty()) return {};
    if (::dup2(request.input, 0) < 0 || ::dup2(request.output, 1) < 0 || ::dup2(request.error, 2) < 0)
        return fail_step("standard descriptors");
    return {};
}

// The slave of the task's terminal; its master goes to the shim. -1 without one.
Stepped<Descriptor> make_terminal(const Start& start) {
    if (!start.request.spec.tty()) return Descriptor();
    TRY_ASSIGN(Terminal terminal, open_terminal());
    TRY(send_descriptors(start.channel.theirs.get(), {terminal.master.get()}));
    return std::move(terminal.slave);
}

// What the clone does before it becomes init and command; the terminal's slave.
Stepped<Descriptor> set_up_task(const Start& start) {
    const IsolationRequest& request = start.request;
    const int channel = start.channel.theirs.get();
    (void)write_small_file("/proc/self/oom_score_adj", kTaskOutOfMemoryScore);
    // While still the host's root: these files and paths are closed to the task's ids.
    TRY(join_groups(start.groups));
    TRY_ASSIGN(const std::vector<Descriptor> mounts,
               receive_descriptors(channel, start.plan.parts.size() + 1));
    TRY_ASSIGN(const Descriptor root, attach_root(request.root, mounts[0].get()));
    // From here on files are made and found with the task's ids.
    TRY(become_root_of_namespace());
    const std::string name = request.spec.hostname().empty() ? "task" : request.spec.hostname();
    if (::sethostname(name.data(), name.size()) != 0) return fail_step("host name", name);
    TRY(enter_root(start.plan, root.get(), mounts));
    TRY(set_standard_descriptors(request));
    return make_terminal(start);
}

[[noreturn]] void run_command(const Start& start, int terminal) {
    const int channel = start.channel.theirs.get();
    if (terminal < 0) {
        ::setsid();
    } else if (auto used = use_terminal(terminal); !used) {
        send_failure(channel, used.error());
        std::_Exit(1);
    }
    send_failure(channel, become_program(command_of(start.request.spec), start.request.seccomp));
    std::_Exit(1);
}

[[noreturn]] void run_task(Start& start) {
    start.channel.ours.reset();
    start.status_read.reset();
    auto terminal = set_up_task(start);
    if (!terminal) {
        send_failure(start.channel.theirs.get(), terminal.error());
        std::_Exit(1);
    }
    if (start.request.spec.no_init()) run_command(start, terminal->get());
    const pid_t command = ::fork();
    if (command < 0) {
        send_failure(start.channel.theirs.get(), StepError{"init", errno, "fork"});
        std::_Exit(1);
    }
    if (command > 0) {
        const bool shell = start.request.spec.command_case() == wire::TaskSpec::kShell;
        run_task_init(command, start.status_write.get(), shell);
    }
    run_command(start, terminal->get());
}

// ---- in the shim

Stepped<void> write_id_maps(int pid, uint32_t base) {
    const std::string map = std::format("0 {} {}", base, kIdsPerTask);
    for (const char* file : {"uid_map", "gid_map"}) {
        const int error_number = write_small_file(std::format("/proc/{}/{}", pid, file), map);
        if (error_number != 0) return fail_step_with("user namespace", error_number, file);
    }
    return {};
}

// What the new process waits for: its ids and its mounts.
Stepped<void> equip(const Start& start, int pid, std::vector<Descriptor>& layers) {
    const IsolationRequest& request = start.request;
    Descriptor user_namespace;
    if (request.root.user_base != 0) {
        TRY(write_id_maps(pid, request.root.user_base));
        user_namespace =
            Descriptor(::open(std::format("/proc/{}/ns/user", pid).c_str(), O_RDONLY | O_CLOEXEC));
        if (!user_namespace) return fail_step("user namespace");
    }
    TRY_ASSIGN(RootMounts made, make_mounts(request.spec, request.root, start.plan, user_namespace.get()));
    layers = std::move(made.layers);
    std::vector<int> fds;
    fds.reserve(made.mounts.size());
    for (const Descriptor& mount : made.mounts) fds.push_back(mount.get());
    return send_descriptors(start.channel.ours.get(), fds);
}

Stepped<int> clone_task(Start& start, Descriptor& pidfd) {
    const IsolationRequest& request = start.request;
    int opened = -1;
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
    if (request.root.user_base != 0) arguments.flags |= CLONE_NEWUSER;
    if (start.v2_group) {
        arguments.flags |= CLONE_INTO_CGROUP;  // inside its limits from its first instruction
        arguments.cgroup = static_cast<uint64_t>(start.v2_group.get());
    }
    arguments.pidfd = reinterpret_cast<uint64_t>(&opened);
    arguments.exit_signal = SIGCHLD;
    const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (pid < 0) return fail_step("clone3");
    if (pid == 0) run_task(start);
    pidfd = Descriptor(opened);
    return static_cast<int>(pid);
}

void kill_and_reap(int pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

Stepped<void> enter_network(int network_namespace) {
    if (network_namespace >= 0 && ::setns(network_namespace, CLONE_NEWNET) != 0)
        return fail_step("network namespace");
    return {};
}

Stepped<IsolatedTask> clone_and_equip(Start& start) {
    IsolatedTask task;
    TRY_ASSIGN(task.pid, clone_task(start, task.pidfd));
    start.channel.theirs.reset();
    start.status_write.reset();
    auto equipped = equip(start, task.pid, task.layers);
    StartReport report;
    if (equipped) report = receive_start_report(start.channel.ours.get());
    if (!equipped || report.failure) {
        kill_and_reap(task.pid);
        return std::unexpected(equipped ? std::move(*report.failure) : std::move(equipped.error()));
    }
    if (!report.received.empty()) task.terminal = std::move(report.received[0]);
    if (!start.request.spec.no_init()) task.status = std::move(start.status_read);
    return task;
}

}  // namespace

Stepped<IsolatedTask> start_isolated(const IsolationRequest& request) {
    Start start{request, plan_root(request.spec, request.root)};
    TRY_ASSIGN(start.groups, request.root.cgroups->v1_join_files(request.root.group));
    TRY_ASSIGN(start.v2_group, request.root.cgroups->v2_directory(request.root.group));
    TRY_ASSIGN(start.channel, make_descriptor_channel());
    std::array<int, 2> status{};
    if (::pipe2(status.data(), O_CLOEXEC) != 0) return fail_step("pipe");
    start.status_read = Descriptor(status[0]);
    start.status_write = Descriptor(status[1]);
    // The clone inherits the network namespace, and /sys is made in it; the shim itself goes back to the
    // host's.
    const Descriptor host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!host) return fail_step("network namespace", "/proc/self/ns/net");
    TRY(enter_network(request.network_namespace));
    auto task = clone_and_equip(start);
    if (request.network_namespace >= 0) TRY(enter_network(host.get()));
    return task;
}

}  // namespace smackd::agent
