#include "services/agent/program.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "services/agent/capabilities.h"
#include "services/agent/root_plan.h"
#include "services/agent/seccomp_profile.h"
#include "services/agent/users.h"

namespace smackd::agent {
namespace {

constexpr long kDevptsMagic = 0x1cd1;
constexpr unsigned long kGetPeer = 0x5441;  // TIOCGPTPEER

// An image may have a pipe or a device there: neither is waited for.
std::string read_regular_file(const char* path) {
    const Descriptor file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat found{};
    if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return {};
    std::string text(std::min<size_t>(static_cast<size_t>(found.st_size), kUserFileBytesMax), '\0');
    const ssize_t got = ::read(file.get(), text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
}

// The machine's own limit may be lower, and only CAP_SYS_RESOURCE raises it.
void limit_resources(uint32_t open_files) {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const rlim_t wanted = open_files == 0 ? kDefaultOpenFiles : open_files;
        const rlimit raised{wanted, wanted};
        if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) {
            files.rlim_cur = files.rlim_max = std::min(wanted, files.rlim_max);
            ::setrlimit(RLIMIT_NOFILE, &files);
        }
    }
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);  // a core dump would land where the host's pattern says
}

void restore_signals() {
    for (int number = 1; number < NSIG; number++) ::signal(number, SIG_DFL);  // smackd ignores SIGPIPE
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Stepped<void> become_user(const TaskUser& user) {
    const char* step = "user";
    if (::setgroups(user.groups.size(), user.groups.data()) != 0) return fail_step(step, "setgroups");
    if (::setresgid(user.gid, user.gid, user.gid) != 0) return fail_step(step, "setresgid");
    if (::setresuid(user.uid, user.uid, user.uid) != 0) return fail_step(step, "setresuid");
    return {};
}

Stepped<void> confine(const ProgramRequest& program, const TaskUser& user, const core::Bytes& seccomp) {
    const char* step = "capabilities";
    const uint64_t keep = program.privileged ? own_capabilities() : program.capabilities;
    // The bounding set first: dropping from it needs a capability that goes with the user.
    if (const int error = limit_bounding_set(keep)) return fail_step_with(step, error, "bounding set");
    TRY(become_user(user));
    if (!program.privileged && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_step("no_new_privs");
    // The filter before the last capset, which it allows; so nothing that it refuses can still be needed.
    if (!program.privileged) {
        if (const int error = install_seccomp(seccomp)) return fail_step_with("seccomp", error);
    }
    if (user.uid == 0) {
        if (const int error = set_capabilities(keep)) return fail_step_with(step, error, "capset");
    }
    // After the ids, a change of which clears it.
    if (program.dies_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return {};
}

Stepped<void> enter_directory(const std::string& path, bool make) {
    const std::string& wanted = path.empty() ? "/" : path;
    if (::chdir(wanted.c_str()) == 0) return {};
    if (make && errno == ENOENT && ::mkdir(wanted.c_str(), 0755) == 0 && ::chdir(wanted.c_str()) == 0)
        return {};
    return fail_step("working directory", wanted);
}

std::optional<std::string_view> value_of(const std::vector<std::string>& environment, std::string_view name) {
    for (auto at = environment.rbegin(); at != environment.rend(); ++at) {
        if (at->starts_with(name) && at->size() > name.size() && (*at)[name.size()] == '=')
            return std::string_view(*at).substr(name.size() + 1);
    }
    return std::nullopt;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

StepError execute(ProgramRequest& program) {
    std::string path(value_of(program.environment, "PATH").value_or(kDefaultPath));
    std::vector<char*> words = pointers(program.words);
    std::vector<char*> environment = pointers(program.environment);
    const std::string& name = program.words[0];
    int error_number = ENOENT;
    const auto attempt = [&](const std::string& file) {
        ::execve(file.c_str(), words.data(), environment.data());
        if (errno != ENOENT && errno != ENOTDIR) error_number = errno;
    };
    if (name.contains('/')) {
        attempt(name);
    } else {
        while (!path.empty()) {
            const std::string directory = path.substr(0, path.find(':'));
            path.erase(0, directory.size() + 1);
            if (!directory.empty()) attempt(directory + "/" + name);
        }
    }
    return StepError{"execve", error_number, name};
}

std::vector<std::string> unique_environment(
    const google::protobuf::RepeatedPtrField<wire::TaskVariable>& first,
    const google::protobuf::RepeatedPtrField<wire::TaskVariable>& second) {
    std::vector<std::string> out;
    for (const auto* list : {&first, &second}) {
        for (const wire::TaskVariable& variable : *list) {
            const std::string start = variable.name() + "=";
            auto found =
                std::ranges::find_if(out, [&](const std::string& line) { return line.starts_with(start); });
            if (found == out.end()) found = out.insert(out.end(), std::string());
            *found = start + variable.value();
        }
    }
    return out;
}

ProgramRequest common_of(const wire::TaskSpec& spec) {
    ProgramRequest program;
    program.user = spec.user();
    program.open_files = spec.limits().open_files();
    program.privileged = spec.privileged();
    program.capabilities = default_capabilities();
    for (const std::string& name : spec.added_capabilities())
        program.capabilities |= capability_bit(name).value_or(0);
    program.working_directory = spec.working_directory();
    if (program.working_directory.empty() && !spec.sandbox().empty())
        program.working_directory = spec.sandbox_path().empty() ? kDefaultSandboxPath : spec.sandbox_path();
    return program;
}

}  // namespace

ProgramRequest command_of(const wire::TaskSpec& spec) {
    ProgramRequest program = common_of(spec);
    if (spec.command_case() == wire::TaskSpec::kShell) {
        program.words = {"/bin/sh", "-c", spec.shell()};
    } else {
        program.words.assign(spec.arguments().words().begin(), spec.arguments().words().end());
    }
    program.environment = unique_environment(spec.environment(), {});
    program.dies_with_parent = spec.no_init();
    return program;
}

ProgramRequest program_of(const wire::TaskSpec& spec, const wire::ShimExec& exec) {
    ProgramRequest program = common_of(spec);
    program.words.assign(exec.words().begin(), exec.words().end());
    program.environment = unique_environment(spec.environment(), exec.environment());
    if (!exec.user().empty()) program.user = exec.user();
    if (!exec.working_directory().empty()) program.working_directory = exec.working_directory();
    program.makes_directory = exec.working_directory().empty();  // a mistyped one changes nothing
    return program;
}

StepError become_program(ProgramRequest program, const core::Bytes& seccomp) {
    if (program.words.empty()) return StepError{"execve", ENOENT, ""};
    const auto user =
        find_user(program.user, read_regular_file("/etc/passwd"), read_regular_file("/etc/group"));
    if (!user) return StepError{"user", 0, user.error().message};
    if (!value_of(program.environment, "PATH"))
        program.environment.push_back(std::string("PATH=") + kDefaultPath);
    if (!value_of(program.environment, "HOME")) program.environment.push_back("HOME=" + user->home);
    ::umask(0022);
    limit_resources(program.open_files);
    restore_signals();
    if (auto confined = confine(program, *user, seccomp); !confined) return confined.error();
    // With the user's rights: a directory closed to them is an error, not a way in.
    if (auto entered = enter_directory(program.working_directory, program.makes_directory); !entered)
        return entered.error();
    // The last descriptors of ours: one left open would be a door to the host (the class of CVE-2024-21626).
    if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return StepError{"close_range", errno};
    return execute(program);
}

Stepped<Terminal> open_terminal() {
    const char* step = "terminal";
    Terminal terminal;
    terminal.master = Descriptor(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW));
    if (!terminal.master) return fail_step(step, "/dev/pts/ptmx");
    struct statfs system{};
    if (::fstatfs(terminal.master.get(), &system) != 0 || system.f_type != kDevptsMagic)
        return fail_step_with(step, EINVAL, "/dev/pts is not the task's devpts");
    int unlocked = 0;
    if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0) return fail_step(step, "TIOCSPTLCK");
    // By the master, not by a path, which the task could have put something else under.
    terminal.slave = Descriptor(::ioctl(terminal.master.get(), kGetPeer, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal.slave) return fail_step(step, "TIOCGPTPEER");
    return terminal;
}

Stepped<void> use_terminal(int slave) {
    ::setsid();
    if (::ioctl(slave, TIOCSCTTY, 0) != 0) return fail_step("terminal", "TIOCSCTTY");
    for (int fd = 0; fd < 3; fd++) {
        if (::dup2(slave, fd) < 0) return fail_step("terminal", "dup2");
    }
    return {};
}

}  // namespace smackd::agent
