#include "services/agent/shim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <format>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "core/wire/serialize.h"
#include "net/crypto/random.h"
#include "net/system_clock.h"
#include "services/agent/beside.h"
#include "services/agent/cgroups.h"
#include "services/agent/descriptor_channel.h"
#include "services/agent/file_tree.h"
#include "services/agent/isolation.h"
#include "services/agent/log_files.h"
#include "services/agent/poll_loop.h"
#include "services/agent/program.h"
#include "services/agent/seccomp_profile.h"
#include "services/agent/shim_connection.h"
#include "services/agent/shim_exec.h"
#include "services/agent/task_directory.h"
#include "services/agent/task_network.h"
#include "services/agent/task_owner.h"

namespace smackd::agent {
namespace {

using core::Result;
using wire::TaskExited;

constexpr core::Duration kDefaultGrace = core::milliseconds(3000);
constexpr core::Duration kKillLook = core::milliseconds(20);
constexpr int kKillLooks = 100;
constexpr core::Duration kDiskLook = core::seconds(1);
constexpr int kDiskLookShare = 20;  // looking takes at most a twentieth of the time
constexpr core::Duration kLastWords = core::milliseconds(500);
constexpr size_t kConnectionsMax = 128;
constexpr int kRemoveGroupTries = 400;
constexpr useconds_t kRemoveGroupPauseUs = 5000;
constexpr const char* kBuild = "1";
constexpr int kFirstFree = 16;  // above the descriptors of a task

void send_signal(const Descriptor& pidfd, int number) {
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0);
}

class Shim {
 public:
    Shim(wire::ShimPlan plan, Descriptor network_namespace)
        : plan_(std::move(plan)), prepared_network_(std::move(network_namespace)) {}
    int run();

 private:
    struct LogPipe {
        LogPipe(int directory, const char* stream, const wire::TaskLogLimits& limits, core::Instant now)
            : writer(directory, stream, limits.segment_bytes(), limits.total_bytes()),
              rate(limits.bytes_per_second(), now) {}
        Descriptor read{};
        Descriptor write{};
        LogWriter writer;
        LogRate rate;
    };
    struct Client {
        std::unique_ptr<ShimConnection> connection;
        std::unique_ptr<ShimExecSession> exec;
    };

    const wire::TaskSpec& spec() const { return plan_.spec(); }
    const std::string& group() const { return plan_.spec().task_id(); }

    Stepped<void> start();
    Stepped<void> make_group();
    Stepped<void> prepare_files();
    Stepped<void> open_logs();
    IsolationRequest isolation(const core::Bytes& seccomp);
    void watch_task();
    void watch_log(LogPipe& pipe);
    void pump(LogPipe& pipe);
    void drain(LogPipe& pipe);

    void accept();
    void answer(std::list<Client>::iterator client, const wire::ShimRequest& request);
    void start_exec(Client& client, const wire::ShimExec& exec);
    void begin_stop(TaskExited::Reason reason, core::Duration grace);
    void kill_all();
    void renew_lease(int64_t until_ms);
    void look_at_disk();
    void out_of_memory();
    void look_for_kill(int looks);
    wire::TaskUsage usage() const;

    void ended();
    void tell(wire::TaskEvent event, bool durable);
    void release_ports();
    void clean_up();

    wire::ShimPlan plan_;
    PollLoop loop_;
    core::Instant began_;
    std::optional<CgroupTree> cgroups_;
    core::Bytes seccomp_;
    Descriptor logs_;
    std::unique_ptr<LogPipe> out_;
    std::unique_ptr<LogPipe> error_;
    Descriptor prepared_network_;
    TaskNetwork network_;
    IsolatedTask task_;
    CgroupTree::OutOfMemoryNotice memory_notice_;
    Descriptor lease_;
    Descriptor signals_;
    std::list<Client> clients_;
    std::optional<TaskExited::Reason> stopping_;  // the first reason counts
    std::optional<core::Instant> kill_at_;
    uint64_t kill_timer_ = 0;
    uint64_t disk_bytes_ = 0;
    uint64_t sequence_ = 0;
};

int Shim::run() {
    began_ = loop_.now();
    auto started = start();
    loop_.watch(kShimSocket, POLLIN, [this](short) { accept(); });
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
    if (spec().sandbox().empty()) return {};
    const auto owner = task_owner(spec());
    if (!owner) return fail_step_with("user", 0, owner.error().message);
    return own_tree(spec().sandbox(), plan_.user_base() + owner->uid, plan_.user_base() + owner->gid);
}

Stepped<void> Shim::open_logs() {
    const std::string path = log_directory(plan_.directory(), group());
    logs_ = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!logs_) return fail_step("logs", path);
    for (auto& [pipe, name] : {std::pair{&out_, "stdout"}, {&error_, "stderr"}}) {
        *pipe = std::make_unique<LogPipe>(logs_.get(), name, spec().logs(), loop_.now());
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_step("logs", "pipe");
        (*pipe)->read = Descriptor(ends[0]);
        (*pipe)->write = Descriptor(ends[1]);
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
    request.output = out_->write.get();
    request.error = error_->write.get();
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
    out_->write.reset();
    error_->write.reset();
    network_.network_namespace.reset();  // its processes hold it
    if (task_.terminal) {
        out_->read = std::move(task_.terminal);
        error_->read.reset();
        ::fcntl(out_->read.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    }
    return {};
}

void Shim::watch_task() {
    loop_.watch(task_.pidfd.get(), POLLIN, [this](short) { ended(); });
    watch_log(*out_);
    watch_log(*error_);
    if (memory_notice_.descriptor)
        loop_.watch(memory_notice_.descriptor.get(), POLLIN, [this](short) { out_of_memory(); });
    // Counts while the machine sleeps: others may take the task's place meanwhile.
    lease_ = Descriptor(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    loop_.watch(lease_.get(), POLLIN, [this](short) {
        loop_.forget(lease_.get());
        begin_stop(TaskExited::LEASE_EXPIRED, kDefaultGrace);
    });
    if (spec().lease_until_ms() > 0) renew_lease(spec().lease_until_ms());
    if (spec().max_runtime_ms() > 0) {
        loop_.start(core::milliseconds(spec().max_runtime_ms()),
                    [this] { begin_stop(TaskExited::MAX_RUNTIME, kDefaultGrace); });
    }
    if (spec().limits().disk_bytes() > 0) loop_.start(kDiskLook, [this] { look_at_disk(); });
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

// ---- logs

void Shim::watch_log(LogPipe& pipe) {
    if (pipe.read) loop_.watch(pipe.read.get(), POLLIN, [this, &pipe](short) { pump(pipe); });
}

void Shim::pump(LogPipe& pipe) {
    std::array<char, 65536> buffer{};
    const uint64_t allowed = pipe.rate.allowed(loop_.now());
    if (allowed < buffer.size()) {
        // The pipe fills up and the writer waits: a flood costs the others nothing, and nothing is lost.
        loop_.want(pipe.read.get(), 0);
        loop_.start(core::milliseconds(20), [this, &pipe] { loop_.want(pipe.read.get(), POLLIN); });
        return;
    }
    const ssize_t got = ::read(pipe.read.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        loop_.forget(pipe.read.get());
        return;
    }
    pipe.writer.write({buffer.data(), static_cast<size_t>(got)});
    pipe.rate.take(static_cast<uint64_t>(got));
}

// What is still in the pipe when all who could write are gone.
void Shim::drain(LogPipe& pipe) {
    std::array<char, 65536> buffer{};
    for (ssize_t got = 0; pipe.read && (got = ::read(pipe.read.get(), buffer.data(), buffer.size())) > 0;)
        pipe.writer.write({buffer.data(), static_cast<size_t>(got)});
}

// ---- connections

void Shim::accept() {
    Descriptor socket(::accept4(kShimSocket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket || clients_.size() >= kConnectionsMax) return;
    clients_.emplace_back();
    const auto client = std::prev(clients_.end());
    client->connection = std::make_unique<ShimConnection>(
        loop_, std::move(socket),
        [this, client](const wire::ShimRequest& request) { answer(client, request); },
        [this, client] {
            client->exec.reset();  // it uses the connection
            clients_.erase(client);
        });
    wire::ShimAnswer hello;
    hello.mutable_hello()->set_version(kShimProtocolVersion);
    hello.mutable_hello()->set_build(kBuild);
    hello.mutable_hello()->set_task_id(group());
    hello.mutable_hello()->set_shim_pid(static_cast<uint64_t>(::getpid()));
    hello.mutable_hello()->set_pid(static_cast<uint64_t>(task_.pid));
    hello.mutable_hello()->set_last_sequence(sequence_);
    client->connection->send(hello);
}

void Shim::answer(std::list<Client>::iterator client, const wire::ShimRequest& request) {
    switch (request.what_case()) {
        case wire::ShimRequest::kKill:
            return begin_stop(TaskExited::KILLED, core::milliseconds(request.kill().grace_ms()));
        case wire::ShimRequest::kSignal:
            if (task_.pidfd) send_signal(task_.pidfd, static_cast<int>(request.signal()));
            return;
        case wire::ShimRequest::kLease:
            return renew_lease(request.lease().until_ms());
        case wire::ShimRequest::kUsage: {
            wire::ShimAnswer answer;
            *answer.mutable_usage() = usage();
            return client->connection->send(answer);
        }
        case wire::ShimRequest::kExec:
            return start_exec(*client, request.exec());
        case wire::ShimRequest::kInput:
            if (client->exec) client->exec->input(request.input());
            return;
        case wire::ShimRequest::WHAT_NOT_SET: {
            wire::ShimAnswer answer;
            answer.mutable_refusal()->set_code(static_cast<uint32_t>(core::Errc::kUnsupported));
            answer.mutable_refusal()->set_message("this task's shim is older than the request");
            return client->connection->send(answer);
        }
    }
}

void Shim::start_exec(Client& client, const wire::ShimExec& exec) {
    wire::ShimAnswer answer;
    if (exec.words_size() == 0 || client.exec) {
        answer.mutable_refusal()->set_code(static_cast<uint32_t>(core::Errc::kInvalid));
        answer.mutable_refusal()->set_message("exec: one program a connection, with at least one word");
        return client.connection->send(answer);
    }
    auto started = start_beside({.spec = spec(),
                                 .exec = exec,
                                 .cgroups = *cgroups_,
                                 .group = group(),
                                 .seccomp = seccomp_,
                                 .task_pidfd = task_.pidfd.get(),
                                 .user_namespace = plan_.user_base() != 0});
    if (!started) {
        wire::TaskFailed& failed = *answer.mutable_exit()->mutable_failed();
        failed.set_step(started.error().step);
        failed.set_errno_value(started.error().error_number);
        failed.set_message(started.error().message());
        return client.connection->send(answer);
    }
    client.exec = std::make_unique<ShimExecSession>(loop_, *client.connection, std::move(*started));
}

// ---- the end

void Shim::begin_stop(TaskExited::Reason reason, core::Duration grace) {
    if (!stopping_) {
        stopping_ = reason;
        const int number = spec().stop_signal() == 0 ? SIGTERM : static_cast<int>(spec().stop_signal());
        send_signal(task_.pidfd, number);
    }
    const core::Instant at = loop_.now() + grace;
    if (kill_at_ && *kill_at_ <= at) return;
    kill_at_ = at;
    loop_.cancel(kill_timer_);
    if (grace <= core::Duration(0)) return kill_all();
    kill_timer_ = loop_.start(grace, [this] { kill_all(); });
}

void Shim::kill_all() {
    // Its pid 1 first: the kernel then ends the whole namespace. The group has what was put in from outside.
    send_signal(task_.pidfd, SIGKILL);
    cgroups_->kill(group());
}

void Shim::renew_lease(int64_t until_ms) {
    if (!lease_ || until_ms <= 0) return;
    itimerspec at{};
    at.it_value.tv_sec = until_ms / 1000;
    at.it_value.tv_nsec = static_cast<long>(until_ms % 1000) * 1'000'000;
    ::timerfd_settime(lease_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

void Shim::look_at_disk() {
    const core::Instant began = loop_.now();
    std::optional<uint64_t> used = spec().sandbox().empty() ? 0 : tree_bytes(spec().sandbox());
    const auto root = tree_bytes(task_directory(plan_.directory(), group()) + "/upper");
    if (used && root) disk_bytes_ = *used + *root;
    if (!used || !root || disk_bytes_ > spec().limits().disk_bytes())
        return begin_stop(TaskExited::DISK_LIMIT, core::Duration(0));
    loop_.start(std::max(kDiskLook, (loop_.now() - began) * kDiskLookShare), [this] { look_at_disk(); });
}

void Shim::out_of_memory() {
    std::array<char, 4096> events{};
    (void)!::read(memory_notice_.descriptor.get(), events.data(), events.size());
    look_for_kill(kKillLooks);
}

/// v1 tells of the shortage before anything is killed: the count follows a moment later.
void Shim::look_for_kill(int looks) {
    if (stopping_ || !memory_notice_.descriptor) return;
    if (cgroups_->out_of_memory_kills(group()) == 0) {
        if (looks > 0) loop_.start(kKillLook, [this, looks] { look_for_kill(looks - 1); });
        return;
    }
    // All of it goes, as with v2's memory.oom.group: a task that lost one process is not what was asked for.
    loop_.forget(memory_notice_.descriptor.get());
    begin_stop(TaskExited::OUT_OF_MEMORY, core::Duration(0));
}

wire::TaskUsage Shim::usage() const {
    wire::TaskUsage now = cgroups_->usage(group());
    now.set_time_ms(net::SystemClock().wall().unix_ms);
    now.set_disk_bytes(disk_bytes_);
    now.set_log_bytes(out_->writer.written() + error_->writer.written());
    return now;
}

std::string describe(const TaskExited& exited) {
    const std::string how =
        exited.signal() != 0
            ? std::format("signal {} ({})", exited.signal(), ::sigdescr_np(static_cast<int>(exited.signal())))
            : std::format("exit code {}", exited.code());
    switch (exited.reason()) {
        case TaskExited::OUT_OF_MEMORY:
            return std::format("out of memory: it met its limit of {}",
                               core::format_bytes(exited.usage().memory_limit_bytes()));
        case TaskExited::KILLED:
            return "killed as asked: " + how;
        case TaskExited::LEASE_EXPIRED:
            return "its lease was not renewed: " + how;
        case TaskExited::MAX_RUNTIME:
            return "it ran for as long as it may: " + how;
        case TaskExited::DISK_LIMIT:
            return "it used more disk than it may: " + how;
        default:
            return "ended with " + how;
    }
}

void Shim::ended() {
    int status = 0;
    ::waitpid(task_.pid, &status, 0);
    // The init's own status is a copy at best; killed from outside, it has told nothing.
    if (int told = 0; task_.status && ::read(task_.status.get(), &told, sizeof(told)) == sizeof(told))
        status = told;
    drain(*out_);
    drain(*error_);
    wire::TaskEvent event;
    TaskExited& exited = *event.mutable_exited();
    *exited.mutable_usage() = usage();
    exited.set_code(WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0);
    exited.set_signal(WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0);
    exited.set_reason(stopping_.value_or(TaskExited::ENDED));
    if (!stopping_ && exited.usage().out_of_memory_kills() > 0) exited.set_reason(TaskExited::OUT_OF_MEMORY);
    exited.set_message(describe(exited));
    loop_.forget(task_.pidfd.get());
    release_ports();  // whoever hears of the end may start another task on them at once
    tell(std::move(event), true);
    loop_.stop();
}

void Shim::tell(wire::TaskEvent event, bool durable) {
    event.set_task_id(group());
    event.set_sequence(++sequence_);
    event.set_uuid(net::crypto::random_bytes(16));
    event.set_time_ms(net::SystemClock().wall().unix_ms);
    // A full disk must not lose it: what is in the way of the last event is taken away and it is tried again.
    while (!write_event(kShimDirectory, event, false)) {
        remove_tree(kShimDirectory, "upper");
        ::usleep(200'000);
    }
    wire::ShimAnswer answer;
    *answer.mutable_event() = event;
    for (Client& client : clients_) client.connection->send(answer);
    // For the machine that fails before anybody has heard of it; who listens need not wait for the disk.
    if (durable) (void)sync_event(kShimDirectory, event.sequence());
}

void Shim::release_ports() {
    if (std::exchange(network_.published, false)) unpublish(plan_);
    network_.reserved.clear();
}

void Shim::clean_up() {
    for (Client& client : clients_) {
        client.exec.reset();
        client.connection->flush(kLastWords);
    }
    clients_.clear();
    release_ports();
    for (int tries = 0; cgroups_ && tries < kRemoveGroupTries && !cgroups_->remove(group()); tries++) {
        cgroups_->kill(group());
        ::usleep(kRemoveGroupPauseUs);  // the kernel lets go of a dead process's group a little later
    }
    for (const char* name : {"upper", "work", "staging", kSocketFile}) remove_tree(kShimDirectory, name);
}

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

}  // namespace

int shim_main(const std::vector<std::string>& arguments) {
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
