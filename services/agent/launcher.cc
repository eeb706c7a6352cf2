#include "services/agent/launcher.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <format>
#include <optional>

#include "core/wire/serialize.h"
#include "core/wire/task.pb.h"
#include "net/system_clock.h"
#include "services/agent/bridge.h"
#include "services/agent/cgroups.h"
#include "services/agent/descriptor.h"
#include "services/agent/frames.h"
#include "services/agent/root_plan.h"
#include "services/agent/seccomp_profile.h"
#include "services/agent/shim.h"
#include "services/agent/shim_pool.h"
#include "services/agent/sweep.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

constexpr int kShimBacklog = 128;  // sessions of exec may all be opened at once
constexpr mode_t kPrivate = 0077;  // umask: what is made is root's alone
constexpr off_t kShimLogBytesMax = 1 << 20;

// By way of the descriptor: a data directory's path may be longer than a socket's address.
Result<Descriptor> listen_in(int directory) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = std::format("/proc/self/fd/{}/{}", directory, kSocketFile);
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(socket.get(), kShimBacklog) != 0)
        return fail_errno(errno, "the task's socket");
    return socket;
}

// Tasks have nothing to do with each other: ext4 then puts their directories far apart, where fewer inodes
// were given back of late, among which it looks for each new one. Other file systems do not know the flag.
void spread(const std::string& directory) {
    const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0;
    if (!opened || ::ioctl(opened.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
    flags = static_cast<int>(static_cast<unsigned>(flags) | FS_TOPDIR_FL);
    (void)::ioctl(opened.get(), FS_IOC_SETFLAGS, &flags);
}

// One for all of them; begun anew when it has grown.
Result<Descriptor> open_shim_log(const std::string& path) {
    Descriptor log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat found{};
    if (!log || ::fstat(log.get(), &found) != 0) return fail_errno(errno, path);
    if (found.st_size > kShimLogBytesMax && ::ftruncate(log.get(), 0) != 0) return fail_errno(errno, path);
    return log;
}

void add_problems(const Bridge& bridge, wire::LauncherAnswer& into) {
    for (const std::string& problem : bridge.problems()) into.add_problems(problem);
}

class Launcher {
 public:
    int run();

 private:
    void answer(const wire::LauncherRequest& request);
    Result<void> set_up(const wire::LauncherSetup& setup, wire::LauncherAnswer& into);
    Result<int> launch(wire::ShimPlan plan);
    Result<void> remove(const wire::LauncherRemove& removal);
    void prepare();
    void tear_down();

    std::string agent_;
    std::string name_;
    Descriptor alone_;  // locked as long as we live: the one before us may still be tidying up
    std::optional<CgroupTree> cgroups_;
    std::optional<Bridge> bridge_;
    ShimPool shims_;
};

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    return true;
}

int Launcher::run() {
    FrameBuffer input;
    std::array<char, 65536> buffer{};
    for (;;) {
        prepare();
        const ssize_t got = ::recv(kLauncherSocket, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;  // the daemon is gone
        input.append({buffer.data(), static_cast<size_t>(got)});
        for (;;) {
            auto message = input.next();
            if (!message) return 1;
            if (!*message) break;
            wire::LauncherRequest request;
            if (!request.ParseFromString(**message)) return 1;
            answer(request);
        }
    }
    tear_down();
    return 0;
}

// For the next tasks, as long as nobody asks for anything.
void Launcher::prepare() {
    pollfd waiting{kLauncherSocket, POLLIN, 0};
    while (shims_.wants_one() && ::poll(&waiting, 1, 0) == 0) shims_.prepare_one();
    const auto limit = static_cast<int>(std::chrono::duration_cast<core::milliseconds>(kReadyFor).count());
    if (shims_.has_any() && ::poll(&waiting, 1, limit) == 0) shims_.let_go();
}

// Without tasks nothing of ours stays on the host; with tasks all stays as it is.
void Launcher::tear_down() {
    if (!cgroups_ || !living_tasks(agent_).empty()) return;
    if (bridge_) (void)remove_bridge(name_);
    cgroups_->remove_top();
}

void Launcher::answer(const wire::LauncherRequest& request) {
    wire::LauncherAnswer answer;
    answer.set_id(request.id());
    Result<void> done;
    switch (request.what_case()) {
        case wire::LauncherRequest::kLaunch: {
            auto pid = launch(request.launch());
            if (pid) answer.set_shim_pid(static_cast<uint64_t>(*pid));
            if (!pid) done = std::unexpected(std::move(pid.error()));
            break;
        }
        case wire::LauncherRequest::kSetup:
            done = set_up(request.setup(), answer);
            break;
        case wire::LauncherRequest::kRemove:
            done = remove(request.remove());
            break;
        case wire::LauncherRequest::kBlocked:
            if (bridge_) done = bridge_->set_blocked(request.blocked());
            break;
        case wire::LauncherRequest::kTenants:
            if (bridge_) done = bridge_->set_tenants(request.tenants().tenants());
            break;
        case wire::LauncherRequest::kNetwork:
            if (bridge_) done = bridge_->set_network(request.network());
            if (bridge_) add_problems(*bridge_, answer);
            break;
        case wire::LauncherRequest::WHAT_NOT_SET:
            done = fail(Errc::kUnsupported, "the launcher does not know this request");
            break;
    }
    if (!done) {
        answer.set_code(static_cast<uint32_t>(done.error().code));
        answer.set_message(done.error().message);
    }
    if (!send_all(kLauncherSocket, frame(wire::serialize(answer)))) ::_exit(0);
}

Result<void> Launcher::set_up(const wire::LauncherSetup& setup, wire::LauncherAnswer& into) {
    agent_ = setup.directory();
    for (const std::string& path : {agent_, tasks_directory(agent_), logs_directory(agent_)}) {
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, path);
    }
    spread(tasks_directory(agent_));
    name_ = setup.name();
    const std::string lock = agent_ + "/launcher.lock";
    alone_ = Descriptor(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!alone_ || ::flock(alone_.get(), LOCK_EX) != 0) return fail_errno(errno, lock);
    TRY_ASSIGN(Descriptor shim_log, open_shim_log(agent_ + "/shim.log"));
    shims_ = ShimPool(std::move(shim_log));
    TRY(cached_seccomp_profile(agent_));  // compiled before the first task waits for it
    auto cgroups = CgroupTree::open(setup.name());
    if (!cgroups) return fail(Errc::kIo, "{}", cgroups.error().message());
    cgroups_ = std::move(*cgroups);
    const std::vector<wire::ShimPlan> living = living_tasks(agent_);
    for (std::string& line : sweep_orphans(agent_, *cgroups_, living)) *into.add_swept() = std::move(line);
    if (setup.subnet().empty()) return {};
    TRY_ASSIGN(bridge_, Bridge::set_up(setup, living));
    into.set_gateway(bridge_->gateway());
    into.set_bridge(bridge_->device());
    into.set_prefix_length(bridge_->prefix_length());
    for (const std::string& line : bridge_->swept()) into.add_swept(line);
    into.set_wireguard_key(bridge_->wireguard_key());
    add_problems(*bridge_, into);
    return {};
}

Result<int> Launcher::launch(wire::ShimPlan plan) {
    plan.set_taken_us(static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(net::SystemClock().now().since_start).count()));
    const std::string& id = plan.spec().task_id();
    TRY_ASSIGN(const NewTask task, make_task_directory(agent_, id));
    TRY(write_plan(task, plan));
    TRY_ASSIGN(const Descriptor socket, listen_in(task.directory.get()));
    if (bridge_ && plan.spec().network().mode() == wire::TaskNetwork::BRIDGE)
        TRY(bridge_->add_task(plan.spec()));
    auto pid = shims_.start({task.lock.get(), task.directory.get(), socket.get()},
                            plan.spec().network().mode() != wire::TaskNetwork::HOST);
    // While it begins; it makes those that are not there itself.
    if (pid && plan.spec().rootfs_size() > 0) {
        ::umask(0022);  // the task's root takes its mode from there
        for (const char* name : kOverlayDirectories) ::mkdirat(task.directory.get(), name, 0755);
        ::umask(kPrivate);
    }
    return pid;
}

Result<void> Launcher::remove(const wire::LauncherRemove& removal) {
    const std::string& id = removal.task_id();
    if (!is_task_id(id)) return fail(Errc::kInvalid, "task_id: not a task id");
    auto directory = open_task_directory(agent_, id);
    if (directory && is_locked(directory->get()))
        return fail(Errc::kConflict, "task {} still has its shim", id);
    const Descriptor tasks(::open(tasks_directory(agent_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!remove_tree(tasks.get(), id))
        return fail(Errc::kIo, "the directory of task {} cannot be removed whole", id);
    if (!removal.logs()) return {};
    const Descriptor logs(::open(logs_directory(agent_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!remove_tree(logs.get(), id))
        return fail(Errc::kIo, "the logs of task {} cannot be removed whole", id);
    return {};
}

}  // namespace

int launcher_main(const std::vector<std::string>&) {
    if (::fcntl(kLauncherSocket, F_SETFD, FD_CLOEXEC) != 0) return 2;  // not started by the daemon
    // The numbers a shim gets its descriptors under are taken here, so that none of them is overwritten on
    // its way.
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const int fd : {kShimDirectory, kShimSocket}) {
        if (fd != nothing.get() && ::dup3(nothing.get(), fd, O_CLOEXEC) != fd) return 2;
    }
    // Shims are not waited for; what they have to say is in their directories.
    struct sigaction action{};
    action.sa_handler = SIG_IGN;
    action.sa_flags = SA_NOCLDWAIT;
    ::sigaction(SIGCHLD, &action, nullptr);
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE})
        ::signal(number, SIG_IGN);  // it ends with the daemon
    ::prctl(PR_SET_NAME, "smackd-launcher");
    ::umask(kPrivate);
    if (::chdir("/") != 0) return 2;
    return Launcher().run();
}

}  // namespace smackd::agent
