#include "services/edge/confinement.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

namespace smackd::edge {
namespace {

using core::Errc;
using core::fail_errno;
using core::Result;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// What libuv, glibc's threads and allocator, and our sockets use. No call that opens, starts or mounts
// anything.
constexpr long kAllowed[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_fstat,
    SYS_lseek,
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    SYS_madvise,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
    SYS_sigaltstack,
    SYS_ioctl,
    SYS_pipe2,
    SYS_fcntl,
    SYS_dup,
    SYS_eventfd2,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_connect,
    SYS_accept4,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_bind,
    SYS_listen,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_futex,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_exit,
    SYS_exit_group,
    SYS_getrandom,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_ppoll,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_tgkill,
    SYS_getrusage,
    SYS_restart_syscall,
    SYS_sysinfo,
    SYS_uname,
    SYS_set_tid_address,
#if defined(__x86_64__)
    SYS_epoll_wait,
    SYS_poll,
    SYS_time,
#endif
};

/// Builds a filter of classic BPF over seccomp_data (seccomp(2)).
class Filter {
 public:
    Filter() {
        load(offsetof(seccomp_data, arch));
        skip_if_equal(kArchitecture, 1);
        answer(SECCOMP_RET_KILL_PROCESS);
        load(offsetof(seccomp_data, nr));
    }
    void allow(long call) {
        skip_unless_equal(static_cast<uint32_t>(call), 1);
        answer(SECCOMP_RET_ALLOW);
    }
    void refuse(long call, uint32_t action) {
        skip_unless_equal(static_cast<uint32_t>(call), 1);
        answer(action);
    }
    /// Allowed when the argument, masked, is one of `values`; otherwise EPERM.
    void allow_when(long call, unsigned argument, uint32_t mask, std::initializer_list<uint32_t> values) {
        const auto body = static_cast<uint8_t>(3 + 2 * values.size());
        skip_unless_equal(static_cast<uint32_t>(call), body);
        // The lower half of the argument: little-endian on both architectures.
        load(static_cast<uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(uint64_t)));
        add(BPF_ALU | BPF_AND | BPF_K, mask);
        for (uint32_t value : values) {
            skip_unless_equal(value, 1);
            answer(SECCOMP_RET_ALLOW);
        }
        answer(SECCOMP_RET_ERRNO | EPERM);
    }
    Result<void> install() {
        answer(SECCOMP_RET_ERRNO | EPERM);
        sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
        if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
            return fail_errno(errno, "seccomp");
        return {};
    }

 private:
    void add(unsigned code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
        code_.push_back({static_cast<uint16_t>(code), if_true, if_false, k});
    }
    void load(uint32_t offset) { add(BPF_LD | BPF_W | BPF_ABS, offset); }
    void skip_if_equal(uint32_t value, uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0); }
    void skip_unless_equal(uint32_t value, uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count); }
    void answer(uint32_t action) { add(BPF_RET | BPF_K, action); }

    std::vector<sock_filter> code_;
};

Result<void> limit_system_calls() {
    Filter filter;
    for (long call : kAllowed) filter.allow(call);
    filter.allow_when(SYS_socket, 0, ~0U, {AF_INET, AF_INET6});
    filter.allow_when(SYS_mmap, 2, PROT_EXEC, {0});
    filter.allow_when(SYS_mprotect, 2, PROT_EXEC, {0});
    filter.allow_when(SYS_clone, 0, CLONE_THREAD | CLONE_VM, {CLONE_THREAD | CLONE_VM});
    filter.allow_when(SYS_prctl, 0, ~0U, {PR_SET_NAME});
    filter.allow_when(SYS_kill, 0, ~0U, {static_cast<uint32_t>(::getpid())});
    filter.allow_when(SYS_prlimit64, 2, ~0U, {0});  // to read limits, not to set them
    // Its flags lie in memory that a filter cannot see; glibc then uses clone.
    filter.refuse(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    filter.refuse(SYS_io_uring_setup, SECCOMP_RET_ERRNO | ENOSYS);
    // Nothing of ours ever does this: somebody else is in control.
    filter.refuse(SYS_execve, SECCOMP_RET_KILL_PROCESS);
    filter.refuse(SYS_execveat, SECCOMP_RET_KILL_PROCESS);
    filter.refuse(SYS_ptrace, SECCOMP_RET_KILL_PROCESS);
    return filter.install();
}

Result<void> set_capabilities(bool bind_low_ports) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    const uint32_t kept = bind_low_ports ? 1U << CAP_NET_BIND_SERVICE : 0U;
    sets[0] = {kept, kept, 0};
    if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno(errno, "capset");
    return {};
}

Result<void> drop_ids(const EdgeConfinement& rules) {
    // Groups first: without root they cannot be changed. KEEPCAPS lets the one capability live through
    // setresuid.
    if (::setgroups(0, nullptr) != 0) return fail_errno(errno, "setgroups");
    if (rules.gid != 0 && ::setresgid(rules.gid, rules.gid, rules.gid) != 0)
        return fail_errno(errno, "setresgid");
    if (rules.uid == 0) return {};
    if (rules.binds_low_ports && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return fail_errno(errno, "prctl(PR_SET_KEEPCAPS)");
    if (::setresuid(rules.uid, rules.uid, rules.uid) != 0) return fail_errno(errno, "setresuid");
    if (::setresuid(0, 0, 0) == 0) return core::fail(Errc::kIo, "root could be taken back after setresuid");
    return set_capabilities(rules.binds_low_ports);
}

}  // namespace

Result<void> confine_edge(const EdgeConfinement& rules) {
    // Descriptors of the parent that were not close-on-exec must not be of use to whoever takes this over.
    const auto first = static_cast<unsigned>(rules.last_descriptor + 1);
    if (::syscall(SYS_close_range, first, ~0U, 0U) != 0 && errno != ENOSYS)
        return fail_errno(errno, "close_range");
    const rlimit no_core{0, 0};
    if (::setrlimit(RLIMIT_CORE, &no_core) != 0) return fail_errno(errno, "setrlimit");
    if (::geteuid() == 0) {
        // chroot before the uid goes, since it needs root.
        if (!rules.root.empty()) {
            if (::chroot(rules.root.c_str()) != 0) return fail_errno(errno, "chroot " + rules.root);
            if (::chdir("/") != 0) return fail_errno(errno, "chdir");
        }
        TRY(drop_ids(rules));
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "prctl(PR_SET_NO_NEW_PRIVS)");
    // After setresuid, which decides it anew: no core, no ptrace, no reading of our memory by the same uid.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno(errno, "prctl(PR_SET_DUMPABLE)");
    // Last, since it forbids the steps before it.
    return limit_system_calls();
}

}  // namespace smackd::edge
