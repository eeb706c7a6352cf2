#include "auth/confinement.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace smackd::auth {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

// From linux/landlock.h, in the form of ABI 6: the header of the build machine may be older than the kernel
// that runs us. The kernel takes a longer structure when what it does not know is zero.
struct RulesetAttributes {
    uint64_t handled_access_fs = 0;
    uint64_t handled_access_net = 0;
    uint64_t scoped = 0;
};
struct __attribute__((packed)) PathRule {
    uint64_t allowed_access = 0;
    int32_t parent_fd = -1;
};
struct PortRule {
    uint64_t allowed_access = 0;
    uint64_t port = 0;
};
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr uint32_t kAskVersion = 1;
constexpr int kRulePath = 1;
constexpr int kRulePort = 2;
constexpr uint64_t kReadFile = 1U << 2U;
constexpr uint64_t kReadDirectory = 1U << 3U;
constexpr uint64_t kBindTcp = 1U << 0U;
constexpr uint64_t kConnectTcp = 1U << 1U;
constexpr uint64_t kScopeAbstractSockets = 1U << 0U;
constexpr uint64_t kScopeSignals = 1U << 1U;

// Every file right the ABI knows: 13 in the first, then refer, truncate, ioctl.
uint64_t all_file_rights(long abi) {
    const auto count = abi >= 5 ? 16U : abi >= 3 ? 15U : abi >= 2 ? 14U : 13U;
    return (1U << count) - 1;
}

Result<void> add_path_rule(int ruleset, const char* path) {
    PathRule rule;
    rule.allowed_access = kReadFile | kReadDirectory;
    rule.parent_fd = ::open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (rule.parent_fd < 0) return fail_errno(errno, path);
    const long added = ::syscall(kAddRule, ruleset, kRulePath, &rule, 0);
    const int error_number = errno;
    ::close(rule.parent_fd);
    if (added != 0) return fail_errno(error_number, "landlock_add_rule");
    return {};
}

Result<void> add_port_rule(int ruleset, uint16_t port) {
    const PortRule rule{kBindTcp, port};
    if (::syscall(kAddRule, ruleset, kRulePort, &rule, 0) != 0) return fail_errno(errno, "landlock_add_rule");
    return {};
}

// Read the files below `path`, listen on one port, nothing else; signals only to itself.
Result<void> landlock(const char* path, uint16_t port) {
    const long abi = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
    if (abi < 1) return {};  // an older kernel, or switched off there
    RulesetAttributes attributes;
    attributes.handled_access_fs = all_file_rights(abi);
    if (abi >= 4) attributes.handled_access_net = kBindTcp | kConnectTcp;
    if (abi >= 6) attributes.scoped = kScopeAbstractSockets | kScopeSignals;
    const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    const int ruleset = static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0));
    if (ruleset < 0) return fail_errno(errno, "landlock_create_ruleset");
    auto done = add_path_rule(ruleset, path);
    if (done && abi >= 4 && port != 0) done = add_port_rule(ruleset, port);
    if (done && ::syscall(kRestrictSelf, ruleset, 0) != 0) done = fail_errno(errno, "landlock_restrict_self");
    ::close(ruleset);
    return done;
}

// All capabilities go, except binding a low port where one is asked for.
Result<void> set_capabilities(bool bind_low_port) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    const uint32_t kept = bind_low_port ? 1U << CAP_NET_BIND_SERVICE : 0U;
    sets[0] = {kept, kept, 0};
    if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno(errno, "capset");
    return {};
}

Result<void> drop_ids(const Confinement& rules) {
    const bool low_port = rules.listen_port != 0 && rules.listen_port < 1024;
    // Groups first: without root they cannot be changed. KEEPCAPS lets the one capability live through
    // setresuid.
    if (::setgroups(0, nullptr) != 0) return fail_errno(errno, "setgroups");
    if (rules.gid != 0 && ::setresgid(rules.gid, rules.gid, rules.gid) != 0)
        return fail_errno(errno, "setresgid");
    if (rules.uid == 0) return {};
    if (low_port && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return fail_errno(errno, "prctl(PR_SET_KEEPCAPS)");
    if (::setresuid(rules.uid, rules.uid, rules.uid) != 0) return fail_errno(errno, "setresuid");
    if (::setresuid(0, 0, 0) == 0) return fail(Errc::kIo, "root could be taken back after setresuid");
    return set_capabilities(low_port);
}

}  // namespace

Result<void> die_with_parent(int parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_errno(errno, "prctl(PR_SET_PDEATHSIG)");
    // The parent may have died before the line above.
    if (::getppid() != parent) return fail(Errc::kCancelled, "the parent process {} is gone", parent);
    return {};
}

Result<std::string> confine(const Confinement& rules) {
    // Descriptors of the parent that were not close-on-exec must not be of use to whoever takes this process
    // over.
    if (::syscall(SYS_close_range, 3U, ~0U, 0U) != 0 && errno != ENOSYS)
        return fail_errno(errno, "close_range");
    const rlimit no_core{0, 0};
    if (::setrlimit(RLIMIT_CORE, &no_core) != 0) return fail_errno(errno, "setrlimit");
    std::string seen_root = rules.root;
    if (::geteuid() == 0) {
        // chroot before the uid goes: the folder may lie below one that only root may enter.
        if (::chroot(rules.root.c_str()) != 0) return fail_errno(errno, "chroot " + rules.root);
        if (::chdir("/") != 0) return fail_errno(errno, "chdir");
        seen_root.clear();
        TRY(drop_ids(rules));
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "prctl(PR_SET_NO_NEW_PRIVS)");
    TRY(landlock(seen_root.empty() ? "/" : seen_root.c_str(), rules.listen_port));
    // After setresuid, which decides it anew: no core, no ptrace, no reading of our memory by the same uid.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno(errno, "prctl(PR_SET_DUMPABLE)");
    return seen_root;
}

}  // namespace smackd::auth
