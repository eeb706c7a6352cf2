#include "services/agent/shim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <format>
#include <utility>

#include "services/agent/descriptor_channel.h"
#include "services/agent/file_tree.h"
#include "services/agent/seccomp_profile.h"
#include "services/agent/shim_process.h"
#include "services/agent/task_directory.h"
#include "services/agent/task_owner.h"

namespace smackd::agent {

using wire::TaskExited;

namespace {

constexpr int kFirstFree = 16;  // above the descriptors of a task

}  // namespace

int Shim::run() {
    began_ = loop_.now();
    auto started = start();
    if (!started) {
        wire::TaskEvent event;
        event.mutable_failed()->set_step(started.error().step);
        event.mutable_failed()->set_errno_value(started.error().error_number);
        event.mutable_failed()->set_message(started.error().message());
        tell(std::move(event), true);
        clean_up();
        return 0;
    }
    const auto us = [this](core::Instant since) {
        return static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(loop_.now() - since).count());
    };
    wire::TaskEvent event;
    event.mutable_started()->set_pid(static_cast<uint64_t>(task_.pid));
    event.mutable_started()->set_address(spec().network().address());
    event.mutable_started()->set_setup_us(us(began_));
    event.mutable_started()->set_launch_us(us({std::chrono::microseconds(plan_.taken_us())}));
    tell(std::move(event),
         false);  // while we live it can be told again; a machine that fails ends the task too
    // Counts while the machine sleeps: others may take the task's place meanwhile.
    lease_ = Descriptor(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    if (spec().lease_until_ms() > 0) renew_lease(spec().lease_until_ms());
    if (spec().max_runtime_ms() > 0)
        runtime_until_ = loop_.now() + core::milliseconds(spec().max_runtime_ms());
    watch_task();
    loop_.run();
    clean_up();
    return 0;
}

Stepped<void> Shim::make_group() {
    TRY_ASSIGN(cgroups_, CgroupTree::find(plan_.name()));
    auto made = cgroups_->make(group(), spec().limits());
    if (made || made.error().error_number != ENOENT) return made;
    // The launcher made the groups' tops; somebody has taken them away since, empty as they were.
    TRY_ASSIGN(cgroups_, CgroupTree::open(plan_.name()));
    return cgroups_->make(group(), spec().limits());
}

Stepped<void> Shim::prepare_files() {
    for (const wire::TaskVolume& volume : spec().volumes()) {
        if (volume.create() && ::mkdir(volume.host_path().c_str(), 0755) != 0 && errno != EEXIST)
            return fail_step("volume", volume.host_path());
    }
    if (spec().sandbox().empty() && spec().identity().empty()) return {};
    const auto owner = task_owner(spec());
    if (!owner) return fail_step_with("user", 0, owner.error().message);
    const uint32_t uid = plan_.user_base() + owner->uid;
    const uint32_t gid = plan_.user_base() + owner->gid;
    if (!spec().identity().empty()) TRY(own_tree(spec().identity(), uid, gid));
    return spec().sandbox().empty() ? Stepped<void>() : own_tree(spec().sandbox(), uid, gid);
}

Stepped<void> Shim::open_logs() {
    const std::string path = log_directory(plan_.directory(), group());
    logs_ = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!logs_) return fail_step("logs", path);
    out_ = std::make_unique<LogPipe>(loop_, logs_.get(), "stdout", spec().logs());
    error_ = std::make_unique<LogPipe>(loop_, logs_.get(), "stderr", spec().logs());
    for (auto& [pipe, writable] : {std::pair{&out_, &log_ends_[0]}, {&error_, &log_ends_[1]}}) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_step("logs", "pipe");
        (*pipe)->read_from(Descriptor(ends[0]));
        *writable = Descriptor(ends[1]);
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        // A pipe belongs to who made it; /dev/stdout is opened by name.
        if (::fchown(ends[1], plan_.user_base(), plan_.user_base()) != 0 || ::fchmod(ends[1], 0622) != 0)
            return fail_step("logs", "pipe");
    }
    return {};
}

IsolationRequest Shim::isolation(const core::Bytes& seccomp) {
    IsolationRequest request{.spec = spec(), .root = {}};
    request.root.task_directory = task_directory(plan_.directory(), group());
    request.root.user_base = plan_.user_base();
    request.root.own_network = static_cast<bool>(network_.network_namespace);
    request.root.gateway = plan_.gateway();
    request.root.cgroups = &*cgroups_;
    request.root.group = group();
    request.seccomp = seccomp;
    request.network_namespace = network_.network_namespace.get();
    request.output = log_ends_[0].get();
    request.error = log_ends_[1].get();
    return request;
}

Stepped<void> Shim::start() {
    TRY(open_logs());
    TRY(make_group());
    TRY(prepare_files());
    auto seccomp = cached_seccomp_profile(plan_.directory());
    if (!seccomp) return fail_step_with("seccomp", 0, seccomp.error().message);
    seccomp_ = std::move(*seccomp);
    TRY_ASSIGN(network_, make_task_network(plan_, std::move(prepared_network_)));
    if (spec().limits().memory_bytes() > 0) memory_notice_ = cgroups_->out_of_memory_notice(group());
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!nothing) return fail_step("standard descriptors", "/dev/null");
    IsolationRequest request = isolation(seccomp_);
    request.input = nothing.get();
    TRY_ASSIGN(task_, start_isolated(request));
    for (Descriptor& end : log_ends_) end.reset();
    network_.network_namespace.reset();  // its processes hold it
    if (task_.terminal) {
        ::fcntl(task_.terminal.get(), F_SETFL, O_RDWR | O_NONBLOCK);
        out_->read_from(std::move(task_.terminal));
        error_->read_from({});
    }
    return {};
}

/// What follows from the descriptors and times it has, for a task just started and for one taken over.
void Shim::watch_task() {
    loop_.watch(kShimSocket, POLLIN, [this](short) { accept(); });
    loop_.watch(task_.pidfd.get(), POLLIN, [this](short) { ended(); });
    out_->watch();
    error_->watch();
    if (memory_notice_.descriptor)
        loop_.watch(memory_notice_.descriptor.get(), POLLIN, [this](short) { out_of_memory(); });
    watch_lease();
    if (runtime_until_) {
        loop_.start(*runtime_until_ - loop_.now(),
                    [this] { begin_stop(TaskExited::MAX_RUNTIME, kDefaultGrace); });
    }
    if (spec().limits().disk_bytes() > 0) loop_.start(kDiskLook, [this] { look_at_disk(); });
    watch_signals();
}

void Shim::watch_lease() {
    loop_.watch(lease_.get(), POLLIN, [this](short) {
        loop_.forget(lease_.get());
        begin_stop(TaskExited::LEASE_EXPIRED, kDefaultGrace);
    });
}

void Shim::watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    signals_ = Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    loop_.watch(signals_.get(), POLLIN, [this](short) {
        signalfd_siginfo info{};
        (void)!::read(signals_.get(), &info, sizeof(info));
        begin_stop(TaskExited::KILLED, kDefaultGrace);
    });
}

namespace {

// Whatever task it gets.
bool prepare_process() {
    // What is sent to it is read from a descriptor; who started it does not matter to it.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    for (const int number : {SIGHUP, SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);
    ::prctl(PR_SET_NAME, "smackd-shim");
    ::umask(0022);  // the directories above what it makes are root's alone
    return ::chdir("/") == 0;
}

// Lock, directory and socket of a task, to the numbers they have in every shim.
bool receive_task() {
    auto received = receive_descriptors(kShimOrders, 3);
    if (!received) return false;
    for (Descriptor& one : *received) one = Descriptor(::fcntl(one.get(), F_DUPFD_CLOEXEC, kFirstFree));
    return ::dup2((*received)[0].get(), kShimLock) == kShimLock &&
           ::dup2((*received)[1].get(), kShimDirectory) == kShimDirectory &&
           ::dup2((*received)[2].get(), kShimSocket) == kShimSocket;
}

int run_shim(wire::ShimPlan plan, Descriptor network) {
    for (const int fd : {kShimLock, kShimDirectory, kShimSocket}) {
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return 2;  // not started by a launcher
    }
    Shim shim(std::move(plan), std::move(network));
    return shim.run();
}

// In the place of another build, which has checked that this one can.
int go_on_shim(std::string_view handed) {
    uint32_t number = 0;
    std::from_chars(handed.data(), handed.data() + handed.size(), number);
    ::unsetenv(kShimStateVariable);
    const Descriptor file = handed_over(number);
    auto state = read_state(file.get());
    if (!state || !prepare_process()) return 2;
    for (const int fd : {kShimLock, kShimDirectory, kShimSocket}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    Shim shim(state->plan(), {});
    return shim.go_on(std::move(*state));
}

}  // namespace

int shim_main(const std::vector<std::string>& arguments) {
    if (const char* handed = std::getenv(kShimStateVariable)) return go_on_shim(handed);
    auto plan = arguments.empty() ? core::fail(core::Errc::kInvalid, "no task") : read_plan(kShimDirectory);
    if (!plan || arguments[0] != plan->spec().task_id() || !prepare_process()) return 2;
    return run_shim(std::move(*plan), {});
}

int ready_shim_main(char* word, bool own_network) {
    if (!prepare_process()) return 2;
    Descriptor network;
    if (own_network) {
        auto made = make_network_namespace();  // else with the task, where a failure is told
        if (made) network = Descriptor(::fcntl(made->get(), F_DUPFD_CLOEXEC, kFirstFree));
    }
    if (!receive_task()) return 0;  // the launcher has none, or is gone
    auto plan = read_plan(kShimDirectory);
    if (!plan) return 2;
    const std::string name = std::format("shim{}{}", '\0', plan->spec().task_id());
    ::memset(word, 0, kReadyWordBytes);
    name.copy(word, kReadyWordBytes - 1);  // what ps shows
    return run_shim(std::move(*plan), std::move(network));
}

}  // namespace smackd::agent
