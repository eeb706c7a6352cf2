// Runs a program that sees another time of day: every wall clock it and its children read is SECONDS ahead
// (or, below zero, behind). Timers and the monotonic clock are as they are.
//
//     shifted_clock SECONDS PROGRAM [ARGUMENT...]
//     shifted_clock @FILE PROGRAM [ARGUMENT...]     the file holds SECONDS, and is read anew upon SIGUSR1: a
//     step
//
// smackd is static, so nothing can be preloaded, and time namespaces do not cover the wall clock. So the
// program is traced: it is started without a vDSO, a seccomp filter stops it at each system call that reads a
// wall clock, and the answer is changed before the program sees it.
#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <set>

namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr int kExitUsage = 64;

time_t shift_s = 0;
pid_t program = 0;
const char* shift_file = nullptr;
volatile sig_atomic_t stale = 0;

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

void read_shift() {
    stale = 0;
    std::ifstream file(shift_file);
    if (long long value = 0; file >> value) shift_s = value;
}

/// System calls that read a wall clock stop for the tracer; clock_gettime only for the clocks that are one.
void trace_clock_calls() {
    std::array filter = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettimeofday, 6, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_time, 5, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 3),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 2, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME_COARSE, 1, 0),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    const sock_fprog rules = {filter.size(), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules) != 0) {
        die("shifted_clock: seccomp");
    }
}

template <class T>
bool read_memory(pid_t pid, unsigned long long at, T& value) {
    iovec local = {&value, sizeof value};
    iovec remote = {reinterpret_cast<void*>(at), sizeof value};
    return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(sizeof value);
}

template <class T>
void write_memory(pid_t pid, unsigned long long at, T value) {
    iovec local = {&value, sizeof value};
    iovec remote = {reinterpret_cast<void*>(at), sizeof value};
    if (::process_vm_writev(pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(sizeof value))
        die("shifted_clock: writing the program's memory");
}

/// Right after exec the stack holds argc, argv, envp and the auxiliary vector, from which libc learns of the
/// vDSO.
void hide_vdso(pid_t pid) {
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
    unsigned long long at = registers.rsp;
    unsigned long long word = 0;
    if (!read_memory(pid, at, word)) return;
    at += (word + 2) * sizeof word;  // argc, argv, the null after it
    do {
        if (!read_memory(pid, at, word)) return;
        at += sizeof word;
    } while (word != 0);
    for (Elf64_auxv_t entry{}; read_memory(pid, at, entry) && entry.a_type != AT_NULL; at += sizeof entry) {
        if (entry.a_type == AT_SYSINFO_EHDR) write_memory<uint64_t>(pid, at, AT_IGNORE);
    }
}

void shift_answer(pid_t pid) {
    if (stale != 0) read_shift();
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
    const auto result = static_cast<long long>(registers.rax);
    if (result < 0) return;
    if (registers.orig_rax == SYS_time) {
        registers.rax += static_cast<unsigned long long>(shift_s);
        ::ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
    }
    // All three write the seconds first: timespec, timeval, time_t.
    const unsigned long long at = registers.orig_rax == SYS_clock_gettime ? registers.rsi : registers.rdi;
    time_t seconds = 0;
    if (at != 0 && read_memory(pid, at, seconds)) write_memory<time_t>(pid, at, seconds + shift_s);
}

void forward(int signal_number) {
    ::kill(program, signal_number);
}

int start(char** words) {
    program = ::fork();
    if (program < 0) die("shifted_clock: fork");
    if (program == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        trace_clock_calls();
        ::execvp(words[0], words);
        die(words[0]);
    }
    int status = 0;
    ::waitpid(program, &status, 0);
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SETOPTIONS, program, nullptr, options) != 0) die("shifted_clock: ptrace");
    ::ptrace(PTRACE_CONT, program, nullptr, 0L);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, forward);
    return 0;
}

/// Until the program ends: its exit code.
int trace() {
    std::set<pid_t> known{program};
    while (true) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) die("shifted_clock: waitpid");
        if (!WIFSTOPPED(status)) {
            known.erase(pid);
            if (pid != program) continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        const int event = status >> 16;
        const int number = WSTOPSIG(status);
        long deliver = 0;
        auto how = PTRACE_CONT;
        if (number == kSyscallStop) {
            shift_answer(pid);
        } else if (event == PTRACE_EVENT_SECCOMP) {
            how = PTRACE_SYSCALL;  // stops once more, when the answer is there
        } else if (event == PTRACE_EVENT_EXEC) {
            hide_vdso(pid);
        } else if (event == 0 && !(number == SIGSTOP && known.insert(pid).second)) {
            deliver = number;  // a signal; the stop that a new thread begins with is none
        }
        ::ptrace(how, pid, nullptr, deliver);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: shifted_clock SECONDS PROGRAM [ARGUMENT...]\n");
        return kExitUsage;
    }
    shift_s = std::strtoll(argv[1], nullptr, 10);
    if (argv[1][0] == '@') {
        shift_file = argv[1] + 1;
        read_shift();
        ::signal(SIGUSR1, [](int) { stale = 1; });
    }
    start(argv + 2);
    return trace();
}
