#include "services/agent/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace smackd::agent {
namespace {

// In the order of their numbers (linux/capability.h).
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}

}  // namespace

std::optional<uint64_t> capability_bit(std::string_view name) {
    if (name.starts_with("CAP_")) name.remove_prefix(4);
    for (unsigned number = 0; number < kNames.size(); number++) {
        if (kNames[number] == name) return bit(number);
    }
    return std::nullopt;
}

uint64_t default_capabilities() {
    return bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) | bit(CAP_KILL) |
           bit(CAP_SETGID) | bit(CAP_SETUID) | bit(CAP_SETPCAP) | bit(CAP_NET_BIND_SERVICE) |
           bit(CAP_SYS_CHROOT) | bit(CAP_SETFCAP);
}

uint64_t own_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> words{};
    if (::syscall(SYS_capget, &header, words.data()) != 0) return 0;
    return words[0].permitted | (uint64_t{words[1].permitted} << 32U);
}

int limit_bounding_set(uint64_t keep) {
    for (unsigned number = 0; number < 64; number++) {
        if (::prctl(PR_CAPBSET_READ, number, 0, 0, 0) < 0) break;  // past the kernel's last one
        if ((keep & bit(number)) == 0 && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) return errno;
    }
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
    return 0;
}

int set_capabilities(uint64_t keep) {
    const uint64_t kept = keep & own_capabilities();
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> words{};
    words[0].effective = words[0].permitted = static_cast<uint32_t>(kept);
    words[1].effective = words[1].permitted = static_cast<uint32_t>(kept >> 32U);
    return ::syscall(SYS_capset, &header, words.data()) == 0 ? 0 : errno;
}

}  // namespace smackd::agent
