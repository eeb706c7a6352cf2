#include "services/agent/task_init.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "services/agent/capabilities.h"

namespace smackd::agent {
namespace {

struct Reaped {
    bool command = false;  // has ended, now or before
    bool all = false;      // no child is left
    int status = 0;        // of the command
};

void reap(int command_pid, Reaped& reaped) {
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, WNOHANG);
        if (ended < 0) reaped.all = errno == ECHILD;
        if (ended <= 0) return;
        if (ended != command_pid) continue;
        reaped.command = true;
        reaped.status = status;
    }
}

}  // namespace

void run_task_init(int command_pid, int status, bool stop_all) {
    // Only the way to the shim stays open: no log pipe, no descriptor of the host's.
    ::dup2(status, 0);
    ::close_range(1, ~0U, 0);
    ::prctl(PR_SET_NAME, "init");
    // It may signal what runs under other ids of the task, and nothing else.
    const uint64_t keep = uint64_t{1} << CAP_KILL;
    if (limit_bounding_set(keep) != 0 || set_capabilities(keep) != 0) std::_Exit(125);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the task's root does not look into our memory
    // Last, as a change of credentials clears it: without a shim nobody would keep the task's logs and
    // limits.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);  // blocked signals reach even a pid 1 that has no handler
    Reaped reaped;
    bool stopping = false;
    for (;;) {
        reap(command_pid, reaped);
        if (reaped.command && (reaped.all || !stopping)) break;
        const int number = ::sigwaitinfo(&all, nullptr);
        if (number <= 0 || number == SIGCHLD) continue;
        const bool stop = stop_all && (number == SIGTERM || number == SIGINT || number == SIGQUIT);
        stopping = stopping || stop;
        ::kill(stop ? -1 : command_pid, number);
    }
    (void)!::write(0, &reaped.status, sizeof(reaped.status));
    std::_Exit(WIFEXITED(reaped.status) ? WEXITSTATUS(reaped.status) : 128 + WTERMSIG(reaped.status));
}

}  // namespace smackd::agent
