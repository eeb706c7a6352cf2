#include "services/agent/seccomp_profile.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <format>
#include <memory>
#include <span>
#include <vector>

#include "net/crypto/hash.h"
#include "services/agent/descriptor.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

// Allowed with any arguments. After moby's default profile: without namespaces, mounts, modules, keys, BPF,
// io_uring, userfaultfd, clocks and what else needs a capability that tasks do not have.
constexpr const char* kAllowed =
    "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod chown "
    "chroot "
    "clock_adjtime clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range "
    "creat dup dup2 "
    "dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd "
    "eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod "
    "fchmodat fchmodat2 "
    "fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs "
    "fsync "
    "ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_robust_list "
    "get_thread_area getcpu "
    "getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp "
    "getpid getppid "
    "getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid "
    "gettimeofday "
    "getuid getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy "
    "io_getevents "
    "io_setup io_submit ioctl ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek "
    "lsetxattr lstat "
    "madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock "
    "mlock2 "
    "mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend "
    "mq_unlink mremap "
    "mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep "
    "newfstatat open "
    "openat openat2 pause pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
    "pkey_mprotect poll "
    "ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev "
    "pselect6 ptrace "
    "pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg "
    "remap_file_pages "
    "removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl "
    "semget semop "
    "semtimedop sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid "
    "setfsuid "
    "setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid "
    "setsockopt "
    "setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice "
    "stat statfs "
    "statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill "
    "truncate "
    "umask uname unlink unlinkat utime utimensat utimes vfork wait4 waitid waitpid write writev";

constexpr std::array<uint64_t, 5> kPersonalities = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
constexpr uint64_t kNamespaceFlags =
    0x7e020000;                               // all CLONE_NEW* but CLONE_NEWTIME, which clone() cannot take
constexpr uint64_t kAddressFamilyVsock = 40;  // reaches the hypervisor past every network rule
constexpr int kCompiledSizeMax = 1 << 16;
constexpr int kProfileVersion = 1;

#if defined(__x86_64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_X86_64;
constexpr bool kHasX32 = true;
#elif defined(__aarch64__)
constexpr uint32_t kAuditArch = AUDIT_ARCH_AARCH64;
constexpr bool kHasX32 = false;
#endif
constexpr uint32_t kX32Bit = 0x40000000;
constexpr uint32_t kNewestKnownCall = 462;  // mseal; above it nothing is known to the profile's author

struct ContextReleaser {
    void operator()(void* context) const { ::seccomp_release(context); }
};
using Filter = std::unique_ptr<void, ContextReleaser>;

Result<void> allow_names(void* filter) {
    std::string name;
    for (const char* at = kAllowed;; at++) {
        if (*at != ' ' && *at != '\0') {
            name += *at;
            continue;
        }
        const int number = ::seccomp_syscall_resolve_name(name.c_str());
        // A call this architecture or library does not know stays refused.
        if (number >= 0) {
            const int added = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
            if (added != 0) return fail_errno(-added, name);
        }
        name.clear();
        if (*at == '\0') return {};
    }
}

scmp_arg_cmp first_argument(scmp_compare compare, uint64_t value) {
    return {0, compare, value, 0};
}

Result<void> add_conditional(void* filter) {
    for (const uint64_t value : kPersonalities) {
        const int added = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
                                             first_argument(SCMP_CMP_EQ, value));
        if (added != 0) return fail_errno(-added, "personality");
    }
    int added = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                   first_argument(SCMP_CMP_MASKED_EQ, kNamespaceFlags));
    if (added != 0) return fail_errno(-added, "clone");
    added = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                               first_argument(SCMP_CMP_NE, kAddressFamilyVsock));
    if (added != 0) return fail_errno(-added, "socket");
    // Its flags lie in memory, which a filter cannot read; glibc falls back to clone on ENOSYS only.
    added = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (added != 0) return fail_errno(-added, "clone3");
    return {};
}

// Before the library's program: calls newer than the profile answer ENOSYS rather than EPERM. (The library
// itself checks the architecture again.)
void prepend_unknown_calls(std::vector<sock_filter>& program) {
    const std::array<sock_filter, 7> prologue = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kAuditArch, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kHasX32 ? kX32Bit : UINT32_MAX, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kNewestKnownCall, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    }};
    program.insert(program.begin(), prologue.begin(), prologue.end());
}

std::string profile_file_name() {
    const std::string text = std::format("{} {} {}", kProfileVersion, kNewestKnownCall, kAllowed);
    return "seccomp-" + core::to_hex(net::crypto::sha256(text)).substr(0, 16) + ".bpf";
}

Result<core::Bytes> read_whole(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return fail_errno(errno, path);
    core::Bytes bytes(kCompiledSizeMax, '\0');
    const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
    if (got < 0) return fail_errno(errno, path);
    bytes.resize(static_cast<size_t>(got));
    if (bytes.empty() || bytes.size() % sizeof(sock_filter) != 0 || bytes.size() >= kCompiledSizeMax)
        return fail(Errc::kCorrupt, "{} is not a compiled filter", path);
    return bytes;
}

Result<void> write_whole(const std::string& path, const core::Bytes& bytes) {
    const std::string temporary = std::format("{}.{}", path, ::getpid());
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return fail_errno(errno, temporary);
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return fail_errno(errno, temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, path);
    return {};
}

}  // namespace

Result<core::Bytes> compile_seccomp_profile() {
    const Filter filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    if (!filter) return fail(Errc::kIo, "seccomp_init failed");
    // A binary tree: the calls at the end of the alphabet are as cheap as the first.
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    TRY(allow_names(filter.get()));
    TRY(add_conditional(filter.get()));
    // Its size first: given a larger buffer, libseccomp 2.6.0 reads as much beyond its own program.
    size_t bytes = 0;
    int exported = ::seccomp_export_bpf_mem(filter.get(), nullptr, &bytes);
    if (exported != 0) return fail_errno(-exported, "seccomp_export_bpf_mem");
    std::vector<sock_filter> program(bytes / sizeof(sock_filter));
    exported = ::seccomp_export_bpf_mem(filter.get(), program.data(), &bytes);
    if (exported != 0) return fail_errno(-exported, "seccomp_export_bpf_mem");
    prepend_unknown_calls(program);
    core::Bytes out(program.size() * sizeof(sock_filter), '\0');
    std::memcpy(out.data(), program.data(), out.size());
    return out;
}

Result<core::Bytes> cached_seccomp_profile(const std::string& directory) {
    const std::string path = directory + "/" + profile_file_name();
    auto cached = read_whole(path);
    if (cached) return cached;
    TRY_ASSIGN(core::Bytes compiled, compile_seccomp_profile());
    TRY(write_whole(path, compiled));
    return compiled;
}

int install_seccomp(const core::Bytes& program) {
    std::vector<sock_filter> filter(program.size() / sizeof(sock_filter));
    std::memcpy(filter.data(), program.data(), filter.size() * sizeof(sock_filter));
    const sock_fprog installed{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &installed) != 0) return errno;
    return 0;
}

}  // namespace smackd::agent
