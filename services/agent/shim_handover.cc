#include "services/agent/shim_handover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <format>

#include "core/wire/serialize.h"
#include "net/spawn_plan.h"
#include "services/agent/cgroups.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

constexpr unsigned kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
constexpr size_t kAnswerBytesMax = 512;
constexpr size_t kStateBytesMax = 64 << 20;  // 128 connections with what waits in them are below

std::string word_of(const wire::ShimState& state) {
    return "takes over " + state.plan().spec().task_id() + "\n";
}

Result<std::string> read_whole(int fd) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    if (size < 0 || static_cast<size_t>(size) > kStateBytesMax)
        return fail(Errc::kCorrupt, "the shim's state is no file");
    std::string bytes(static_cast<size_t>(size), '\0');
    if (::pread(fd, bytes.data(), bytes.size(), 0) != size) return fail_errno(errno, "the shim's state");
    return bytes;
}

Result<pid_t> ask(int binary, int state, int answer) {
    net::SpawnPlan plan(net::SpawnPlan::Session::kOwn);
    plan.give_no_input();
    plan.give(answer, STDOUT_FILENO);
    plan.give(state, kShimCheckState);
    // By the descriptor: the file may have been replaced under its name, or removed.
    return plan.start(std::format("/proc/self/fd/{}", binary), {"smackd", kShimCheck},
                      "the other build does not start");
}

}  // namespace

Result<Descriptor> seal_state(const wire::ShimState& state) {
    const std::string bytes = wire::serialize(state);
    Descriptor file(::memfd_create("smackd-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file || ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
        return fail_errno(errno, "the shim's state");
    return file;
}

Result<wire::ShimState> read_state(int fd) {
    TRY_ASSIGN(const std::string bytes, read_whole(fd));
    wire::ShimState state;
    if (!state.ParseFromString(bytes)) return fail(Errc::kCorrupt, "the shim's state cannot be read");
    if (state.version() == 0 || state.version() > kShimStateVersion)
        return fail(Errc::kUnsupported, "the shim's state has version {}, this build knows {}",
                    state.version(), kShimStateVersion);
    if (!is_task_id(state.plan().spec().task_id()) || state.pid() == 0 || state.pidfd() == 0)
        return fail(Errc::kCorrupt, "the shim's state is not that of a running task");
    return state;
}

TakeoverCheck::~TakeoverCheck() {
    loop_.cancel(limit_);
    if (pidfd_) loop_.forget(pidfd_.get());
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

Result<void> TakeoverCheck::start(int binary, const wire::ShimState& state) {
    TRY_ASSIGN(const Descriptor sealed, seal_state(state));
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    answer_ = Descriptor(ends[0]);
    const Descriptor theirs(ends[1]);
    TRY_ASSIGN(pid_, ask(binary, sealed.get(), theirs.get()));
    pidfd_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) return fail_errno(errno, "pidfd_open");
    expected_ = word_of(state);
    loop_.watch(pidfd_.get(), POLLIN, [this](short) { ended(); });
    limit_ = loop_.start(kTakeoverCheckMax, [this] {
        finish(fail(Errc::kTimeout, "the other build did not answer within {}",
                    core::format_duration(kTakeoverCheckMax)));
    });
    return {};
}

void TakeoverCheck::ended() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    ::fcntl(answer_.get(), F_SETFL, O_NONBLOCK);  // what it has started may hold the other end
    std::string said(kAnswerBytesMax, '\0');
    const ssize_t got = ::read(answer_.get(), said.data(), said.size());
    said.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && said == expected_) return finish({});
    if (said.ends_with('\n')) said.pop_back();
    const int how = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    finish(fail(Errc::kUnsupported, "the other build does not take over ({} {}): {}",
                WIFSIGNALED(status) ? "signal" : "exit code", how, said.empty() ? "it said nothing" : said));
}

void TakeoverCheck::finish(Result<void> result) {
    loop_.cancel(limit_);
    loop_.forget(pidfd_.get());
    auto done = std::move(done_);
    done(std::move(result));  // may destroy this
}

core::Error become_other_build(int binary, const wire::ShimState& state, KeptDescriptors kept) {
    auto sealed = seal_state(state);
    if (!sealed) return std::move(sealed.error());
    kept.keep(*sealed);
    std::string name = "smackd";
    std::string word = "shim";
    std::string task = state.plan().spec().task_id();
    std::string variable = std::format("{}={}", kShimStateVariable, sealed->get());
    std::array<char*, 4> arguments = {name.data(), word.data(), task.data(), nullptr};
    std::array<char*, 2> environment = {variable.data(), nullptr};
    kept.stay_open(true);
    ::fexecve(binary, arguments.data(), environment.data());
    const int error = errno;
    kept.stay_open(false);
    return fail_errno(error, "the other build does not start").error();
}

int shim_check_main() {
    const auto state = read_state(kShimCheckState);
    if (!state) {
        std::puts(state.error().message.c_str());
        return 1;
    }
    // What it would look for itself.
    const auto cgroups = CgroupTree::find(state->plan().name());
    if (!cgroups) {
        std::puts(cgroups.error().message().c_str());
        return 1;
    }
    std::fputs(word_of(*state).c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace smackd::agent
