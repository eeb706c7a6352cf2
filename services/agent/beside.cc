#include "services/agent/beside.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "core/result.h"
#include "services/agent/descriptor_channel.h"
#include "services/agent/program.h"
#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

constexpr long kStartLimitS = 10;

struct Pipe {
    Descriptor read{};
    Descriptor write{};
};

Stepped<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_step("pipe");
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

struct Ends {
    DescriptorChannel channel{};
    Pipe status{};
    Pipe input{};
    Pipe output{};
    Pipe error{};
};

Stepped<void> enter_task(const BesideRequest& request) {
    TRY_ASSIGN(const std::vector<Descriptor> files, request.cgroups.v1_join_files(request.group));
    for (const Descriptor& file : files) {
        if (::write(file.get(), "0", 1) != 1) return fail_step("cgroup", "tasks");
    }
    if (!request.cgroups.layout().v2.empty()) {
        const std::string procs = request.cgroups.directory("", request.group) + "/cgroup.procs";
        if (const int error = write_small_file(procs, "0")) return fail_step_with("cgroup", error, procs);
    }
    // Before anything of the task's can look at this process: it has our memory (the class of CVE-2019-5736).
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_step("dumpable");
    int kinds = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (request.user_namespace) kinds |= CLONE_NEWUSER;
    if (::setns(request.task_pidfd, kinds) != 0) return fail_step("setns");
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        return fail_step("user namespace", "setresuid");
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the change of ids has set it again
    return {};
}

Stepped<Descriptor> make_terminal(const BesideRequest& request, const Ends& ends) {
    if (!request.exec.tty()) return Descriptor();
    TRY_ASSIGN(Terminal terminal, open_terminal());
    resize_terminal(terminal.master.get(), request.exec.rows(), request.exec.columns());
    TRY(send_descriptors(ends.channel.theirs.get(), {terminal.master.get()}));
    return std::move(terminal.slave);
}

[[noreturn]] void run_program(const BesideRequest& request, Ends& ends, int terminal) {
    const int channel = ends.channel.theirs.get();
    if (terminal >= 0) {
        if (auto used = use_terminal(terminal); !used) {
            send_failure(channel, used.error());
            std::_Exit(1);
        }
    } else {
        ::setsid();
        ::dup2(ends.input.read.get(), 0);
        ::dup2(ends.output.write.get(), 1);
        ::dup2(ends.error.write.get(), 2);
    }
    ProgramRequest program = program_of(request.spec, request.exec);
    program.dies_with_parent = true;
    send_failure(channel, become_program(std::move(program), request.seccomp));
    std::_Exit(1);
}

// In the copy of the shim: enters the task, starts the program in its pid namespace, and waits for it.
[[noreturn]] void run_helper(const BesideRequest& request, Ends& ends) {
    const int channel = ends.channel.theirs.get();
    ends.channel.ours.reset();
    auto entered = enter_task(request);
    auto terminal = entered ? make_terminal(request, ends) : std::unexpected(std::move(entered.error()));
    if (!terminal) {
        send_failure(channel, terminal.error());
        std::_Exit(1);
    }
    const pid_t program = ::fork();  // setns changes the pid namespace of children only
    if (program < 0) send_failure(channel, StepError{"exec", errno, "fork"});
    if (program == 0) run_program(request, ends, terminal->get());
    const int status = ::fcntl(ends.status.write.get(), F_DUPFD, 3);
    ::dup2(status, 0);
    ::close_range(1, ~0U, 0);  // the channel and the program's pipes, or their ends would not be seen
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int result = 0;
    if (program > 0 && ::waitpid(program, &result, 0) == program) (void)!::write(0, &result, sizeof(result));
    std::_Exit(0);
}

}  // namespace

Stepped<BesideProgram> start_beside(const BesideRequest& request) {
    Ends ends;
    TRY_ASSIGN(ends.channel, make_descriptor_channel());
    TRY_ASSIGN(ends.status, make_pipe());
    if (!request.exec.tty()) {
        TRY_ASSIGN(ends.input, make_pipe());
        TRY_ASSIGN(ends.output, make_pipe());
        TRY_ASSIGN(ends.error, make_pipe());
    }
    BesideProgram started;
    started.helper_pid = ::fork();
    if (started.helper_pid < 0) return fail_step("exec", "fork");
    if (started.helper_pid == 0) run_helper(request, ends);
    ends.channel.theirs.reset();
    const timeval limit{kStartLimitS, 0};  // a task that is frozen must not stop its shim
    ::setsockopt(ends.channel.ours.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    StartReport report = receive_start_report(ends.channel.ours.get());
    if (report.failure) {
        ::kill(started.helper_pid, SIGKILL);
        ::waitpid(started.helper_pid, nullptr, 0);
        return std::unexpected(std::move(*report.failure));
    }
    started.status = std::move(ends.status.read);
    if (!request.exec.tty()) {
        started.input = std::move(ends.input.write);
        started.output = std::move(ends.output.read);
        started.error = std::move(ends.error.read);
    } else if (!report.received.empty()) {
        started.input = Descriptor(::fcntl(report.received[0].get(), F_DUPFD_CLOEXEC, 3));
        started.output = std::move(report.received[0]);
    }
    for (const Descriptor* end : {&started.status, &started.input, &started.output, &started.error}) {
        if (*end) ::fcntl(end->get(), F_SETFL, ::fcntl(end->get(), F_GETFL) | O_NONBLOCK);
    }
    return started;
}

void resize_terminal(int master, uint32_t rows, uint32_t columns) {
    if (rows == 0 || columns == 0) return;
    const winsize size{static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
    ::ioctl(master, TIOCSWINSZ, &size);
}

}  // namespace smackd::agent
