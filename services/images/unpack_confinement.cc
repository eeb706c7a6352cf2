#include "services/images/unpack_confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <string>
#include <vector>

namespace smackd::services::images {

using core::fail_errno;
using core::Result;

namespace {

constexpr uint64_t kMemoryBytesMax = 1024UL * 1024 * 1024;  // a zstd window of 128 MiB and room
constexpr uint64_t kOpenFilesMax = 64;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH is this?"
#endif

/// Memory, signals of its own, the end.
constexpr int kCommonCalls[] = {SYS_read,         SYS_write,        SYS_close,          SYS_fstat,
                                SYS_lseek,        SYS_munmap,       SYS_mremap,         SYS_brk,
                                SYS_madvise,      SYS_futex,        SYS_exit,           SYS_exit_group,
                                SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_clock_gettime,
                                SYS_getrandom,    SYS_sched_yield,  SYS_getpid,         SYS_gettid,
                                SYS_tgkill,       SYS_fcntl,        SYS_restart_syscall};
constexpr int kFileCalls[] = {SYS_openat,    SYS_openat2,  SYS_newfstatat, SYS_mkdirat,   SYS_mknodat,
                              SYS_symlinkat, SYS_linkat,   SYS_unlinkat,   SYS_fchown,    SYS_fchownat,
                              SYS_fchmod,    SYS_fchmodat, SYS_utimensat,  SYS_fsetxattr, SYS_pread64};
/// The first steps of a thread, which may come after its process is confined.
constexpr int kThreadCalls[] = {SYS_rseq, SYS_set_robust_list};
/// Of a loop on sockets it was given: libuv and one thread pool, made before.
constexpr int kLoopCalls[] = {
    SYS_epoll_pwait, SYS_epoll_ctl, SYS_readv,      SYS_writev,      SYS_sendmsg,     SYS_recvmsg,
    SYS_shutdown,    SYS_dup,       SYS_getsockopt, SYS_getsockname, SYS_getpeername, SYS_setsockopt,
    SYS_eventfd2,    SYS_ioctl,     SYS_ppoll,      SYS_ftruncate,   SYS_pwrite64,    SYS_sched_getaffinity,
#if defined(__x86_64__)
    SYS_epoll_wait,  SYS_poll,
#endif
};

sock_filter load(size_t offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
sock_filter answer(uint32_t value) {
    return BPF_STMT(BPF_RET | BPF_K, value);
}

/// An allow list; memory never becomes executable. BPF jumps forward by at most 255, which such a list keeps.
Result<void> install_filter(const std::vector<int>& calls) {
    std::vector<sock_filter> code = {
        load(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
        answer(SECCOMP_RET_KILL_PROCESS),
        load(offsetof(seccomp_data, nr)),
    };
    for (const int call : calls) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
        code.push_back(answer(SECCOMP_RET_ALLOW));
    }
    for (const int call : {SYS_mmap, SYS_mprotect}) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 4));
        code.push_back(load(offsetof(seccomp_data, args) + 2 * sizeof(uint64_t)));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
        code.push_back(answer(SECCOMP_RET_KILL_PROCESS));
        code.push_back(answer(SECCOMP_RET_ALLOW));
    }
    code.push_back(answer(SECCOMP_RET_KILL_PROCESS));
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        return fail_errno(errno, "seccomp");
    }
    return {};
}

Result<void> set_limit(int which, uint64_t value, const char* name) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(which), &limit) != 0) return fail_errno(errno, name);
    if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max) value = limit.rlim_max;
    limit = {value, value};
    if (::setrlimit(static_cast<__rlimit_resource>(which), &limit) != 0) return fail_errno(errno, name);
    return {};
}

Result<void> set_limits(uint64_t file_bytes_max, uint64_t cpu_seconds_max) {
    TRY(set_limit(RLIMIT_CORE, 0, "RLIMIT_CORE"));
    TRY(set_limit(RLIMIT_NOFILE, kOpenFilesMax, "RLIMIT_NOFILE"));
    TRY(set_limit(RLIMIT_AS, kMemoryBytesMax, "RLIMIT_AS"));
    TRY(set_limit(RLIMIT_FSIZE, file_bytes_max, "RLIMIT_FSIZE"));
    return set_limit(RLIMIT_CPU, cpu_seconds_max, "RLIMIT_CPU");
}

Result<void> set_capabilities(uint64_t kept) {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return fail_errno(errno, "PR_CAPBSET_DROP");
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    sets[0] = {static_cast<uint32_t>(kept), static_cast<uint32_t>(kept), 0};
    sets[1] = {static_cast<uint32_t>(kept >> 32U), static_cast<uint32_t>(kept >> 32U), 0};
    if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno(errno, "capset");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "PR_SET_NO_NEW_PRIVS");
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno(errno, "PR_SET_DUMPABLE");
    return {};
}

/// Namespaces of its own, and of the file system only `path`.
Result<void> move_into(const char* path) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        return fail_errno(errno, "unshare");
    // First of all: nothing that follows is seen by others.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return fail_errno(errno, "make / private");
    // pivot_root wants a mount point.
    if (::mount(path, path, nullptr, MS_BIND, nullptr) != 0) return fail_errno(errno, "bind the folder");
    const unsigned long flags = MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC;
    if (::mount(nullptr, path, nullptr, flags, nullptr) != 0) return fail_errno(errno, "remount the folder");
    if (::chdir(path) != 0) return fail_errno(errno, "chdir");
    // The old root lands on top of the new one and is taken off from there: no folder for it is needed.
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno(errno, "pivot_root");
    if (::umount2(".", MNT_DETACH) != 0) return fail_errno(errno, "umount the old root");
    if (::chdir("/") != 0) return fail_errno(errno, "chdir /");
    return {};
}

template <size_t... N>
std::vector<int> joined(const int (&... lists)[N]) {
    std::vector<int> all;
    (all.insert(all.end(), lists, lists + N), ...);
    return all;
}

constexpr uint64_t bit(unsigned capability) {
    return uint64_t{1} << capability;
}

}  // namespace

Result<FileDescriptor> confine_unpacker(FileDescriptor folder, const UnpackConfinement& rules) {
    std::array<char, PATH_MAX> path{};
    const std::string link = "/proc/self/fd/" + std::to_string(folder.get());
    if (::readlink(link.c_str(), path.data(), path.size() - 1) < 0)
        return fail_errno(errno, "path of the folder");
    // It belongs to the host's mounts: its ".." would lead out.
    folder.reset();
    TRY(move_into(path.data()));
    FileDescriptor root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) return fail_errno(errno, "open the folder");
    ::umask(0);
    uint64_t kept = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER);
    if (rules.keep_layer_rights) kept |= bit(CAP_FSETID) | bit(CAP_SETFCAP);
    TRY(set_capabilities(kept));
    TRY(set_limits(rules.file_bytes_max, rules.cpu_seconds_max));
    TRY(install_filter(joined(kCommonCalls, kFileCalls)));
    return root;
}

Result<void> refuse_rings() {
    std::vector<sock_filter> code = {
        load(offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        answer(SECCOMP_RET_ERRNO | ENOSYS),
        answer(SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return fail_errno(errno, "seccomp");
    return {};
}

Result<void> confine_fetcher(uint64_t cpu_seconds_max) {
    // A file system of our own that has nothing, over a folder that is there everywhere.
    if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "unshare");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return fail_errno(errno, "make / private");
    if (::mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, "size=4k") != 0) {
        return fail_errno(errno, "mount an empty root");
    }
    TRY(move_into("/proc"));
    TRY(set_capabilities(0));
    TRY(set_limits(RLIM_INFINITY, cpu_seconds_max));
    return install_filter(joined(kCommonCalls, kThreadCalls, kLoopCalls));
}

}  // namespace smackd::services::images
