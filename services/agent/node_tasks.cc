#include "services/agent/node_tasks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <format>

#include "core/ipv4.h"
#include "net/crypto/hash.h"
#include "net/crypto/random.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "services/agent/bridge.h"
#include "services/agent/exec_stream.h"
#include "services/agent/kernel.h"
#include "services/agent/log_files.h"
#include "services/agent/subnet.h"
#include "services/agent/sweep.h"
#include "services/agent/task_directory.h"
#include "services/agent/users.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::Result;

// Host ids of tasks: above what systemd gives to its containers, below 2^31, which some programs take for
// negative.
constexpr uint32_t kUserBaseFirst = 0x70000000;
constexpr uint32_t kUserRanges = 4000;
constexpr core::Duration kShimPause = core::milliseconds(100);  // before a shim is asked again
constexpr core::Duration kLinkMax = core::seconds(10);
constexpr uint32_t kDefaultGraceMs = 3000;
constexpr int kBinaryDescriptorMin = 16;
constexpr core::Duration kReplacePause = core::milliseconds(50);
constexpr core::Duration kReplaceMax = core::seconds(15);  // kTakeoverCheckMax and some

wire::ShimRequest kill_request(uint32_t grace_ms) {
    wire::ShimRequest request;
    request.mutable_kill()->set_grace_ms(grace_ms);
    return request;
}

}  // namespace

net::Task<Result<std::unique_ptr<TaskRunner>>> TaskRunner::start(net::Loop& loop, RunnerOptions options) {
    auto tasks = std::make_unique<NodeTasks>(loop, std::move(options));
    auto started = co_await tasks->start();
    if (!started) {
        co_await tasks->close();
        co_return core::pass(std::move(started), "tasks of this node");
    }
    co_return std::unique_ptr<TaskRunner>(std::move(tasks));
}

NodeTasks::NodeTasks(net::Loop& loop, RunnerOptions options)
    : loop_(loop), options_(std::move(options)), name_(agent_name(options_.directory)), scope_(loop) {
    const char* binary = options_.binary.empty() ? "/proc/self/exe" : options_.binary.c_str();
    const Descriptor opened(::open(binary, O_PATH | O_CLOEXEC));
    // Above what a child gets.
    binary_ = Descriptor(::fcntl(opened.get(), F_DUPFD_CLOEXEC, kBinaryDescriptorMin));
}

net::Task<Result<void>> NodeTasks::start() {
    if (!options_.directory.starts_with('/')) co_return fail(Errc::kInvalid, "directory: must be absolute");
    if (!binary_) co_return core::fail_errno(errno, "smackd's own binary");
    CO_TRY(check_kernel());
    wire::LauncherSetup setup;
    setup.set_directory(options_.directory);
    setup.set_name(name_);
    if (::mkdir(options_.directory.c_str(), 0700) != 0 && errno != EEXIST)
        co_return core::fail_errno(errno, options_.directory);
    CO_TRY_ASSIGN(*setup.mutable_subnet(), first_subnet());
    setup.set_overlay(options_.overlay);
    setup.set_wireguard_port(options_.wireguard_port);
    for (const uint32_t port : options_.node_ports_tcp) setup.add_node_ports_tcp(port);
    for (const std::string& prefix : options_.blocked) setup.add_blocked(prefix);
    launcher_ = std::make_unique<LauncherClient>(loop_, std::format("/proc/self/fd/{}", binary_.get()),
                                                 std::move(setup), options_.logger);
    CO_TRY_ASSIGN(const wire::LauncherAnswer answer, co_await launcher_->start());
    for (const std::string& line : answer.swept())
        options_.logger.warning("orphan removed", {{"what", line}});
    take_setup(answer);
    auto cgroups = CgroupTree::open(name_);
    if (!cgroups) co_return fail(Errc::kIo, "{}", cgroups.error().message());
    cgroups_ = std::move(*cgroups);
    find_tasks();
    if (!tasks_.empty()) scope_.spawn(replace_shims());
    co_return Result<void>();
}

// Tasks that run have their addresses, whatever else is wanted.
Result<std::string> NodeTasks::first_subnet() const {
    if (options_.subnet != "auto") return options_.subnet;
    for (const wire::ShimPlan& plan : living_tasks(options_.directory)) {
        const auto gateway = core::parse_ipv4(plan.gateway());
        if (gateway && plan.prefix_length() != 0)
            return std::format("{}/{}", core::format_ipv4(*gateway - 1), plan.prefix_length());
    }
    return agent::choose_subnet(options_.network, name_, options_.directory);
}

void NodeTasks::take_setup(const wire::LauncherAnswer& answer) {
    gateway_ = answer.gateway();
    bridge_ = answer.bridge();
    prefix_length_ = answer.prefix_length();
    wireguard_key_ = answer.wireguard_key();
}

void NodeTasks::find_tasks() {
    for (const std::string& id : names_in(AT_FDCWD, tasks_directory(options_.directory))) {
        auto directory =
            is_task_id(id) ? open_task_directory(options_.directory, id) : fail(Errc::kInvalid, "no task");
        if (!directory) continue;
        auto task = std::make_unique<Task>(loop_);
        task->directory = std::move(*directory);
        auto plan = read_plan(task->directory.get());
        if (plan) task->plan = std::move(*plan);
        // A directory whose launcher died over it may have no plan; its id is all that is known.
        task->plan.mutable_spec()->set_task_id(id);
        tasks_[id] = std::move(task);
        scope_.spawn(follow(id));
    }
}

// ---- the life of one task

// From its shim's start, or ours, to its end.
net::Task<void> NodeTasks::follow(std::string task_id) {
    Task& task = *tasks_.at(task_id);  // removed only after this has returned
    while (is_locked(task.directory.get())) {
        auto link = co_await connect(task);
        if (link) {
            task.link = std::move(*link);
            co_await listen(task);
            task.linked.reset();
            if (task.replacing != nullptr)
                task.replacing->complete(fail(Errc::kUnavailable, "its shim has closed the connection"));
            co_await task.link->close();
        }
        if (scope_.cancelled()) co_return;
        take_events(task);
        auto slept = co_await net::sleep(loop_, kShimPause);
        if (!slept) co_return;
    }
    settle(task);
    task.linked.set();
}

net::Task<Result<std::unique_ptr<MessageStream>>> NodeTasks::connect(const Task& task) {
    // By way of the descriptor: the directory's path may be longer than a socket's address.
    std::string path = std::format("/proc/self/fd/{}/{}", task.directory.get(), kSocketFile);
    CO_TRY_ASSIGN(auto stream, co_await net::connect_unix(loop_, std::move(path)));
    co_return std::make_unique<MessageStream>(loop_, std::move(stream));
}

net::Task<void> NodeTasks::listen(Task& task) {
    for (;;) {
        auto answer = co_await task.link->receive<wire::ShimAnswer>();
        if (!answer) co_return;
        if (answer->what_case() == wire::ShimAnswer::kHello) {
            task.pid = answer->hello().pid();
            task.shim_pid = answer->hello().shim_pid();
            task.last_sequence = std::max(task.last_sequence, answer->hello().last_sequence());
            if (task.pid != 0) task.phase = wire::LocalTask::RUNNING;
            task.linked.set();
            if (task.replacing != nullptr) task.replacing->complete({});
        }
        if (answer->what_case() == wire::ShimAnswer::kRefusal && task.replacing != nullptr)
            task.replacing->complete(std::unexpected(
                core::Error{static_cast<Errc>(answer->refusal().code()), answer->refusal().message(), 0}));
        take_events(task);
    }
}

// What is in the task's directory is what counts; a message is only the hint to look there.
void NodeTasks::take_events(Task& task) {
    for (wire::TaskEvent& event : read_events(task.directory.get())) {
        task.acknowledged = std::max(task.acknowledged, event.sequence() - 1);
        const uint64_t newest = task.events.empty() ? task.acknowledged : task.events.back().sequence();
        task.last_sequence = std::max(task.last_sequence, event.sequence());
        if (event.what_case() == wire::TaskEvent::kStarted) {
            task.pid = event.started().pid();
            if (task.phase == wire::LocalTask::LAUNCHING) task.phase = wire::LocalTask::RUNNING;
        }
        if (is_last_event(event)) task.phase = wire::LocalTask::ENDED;
        if (event.sequence() > newest) task.events.push_back(std::move(event));
    }
    deliver();
}

// Its shim is gone: without a last event nobody will ever know how it ended.
void NodeTasks::settle(Task& task) {
    take_events(task);
    if (task.phase == wire::LocalTask::ENDED) return;
    wire::TaskEvent event;
    event.set_task_id(task.plan.spec().task_id());
    event.set_sequence(task.last_sequence + 1);
    event.set_uuid(net::crypto::random_bytes(16));
    event.set_time_ms(net::SystemClock().wall().unix_ms);
    event.mutable_exited()->set_reason(wire::TaskExited::LOST);
    event.mutable_exited()->set_message("its shim is gone; how the task ended is not known");
    cgroups_->kill(task.plan.spec().task_id());
    cgroups_->remove(task.plan.spec().task_id());
    auto written = write_event(task.directory.get(), event, true);
    if (!written)
        options_.logger.error("event not written",
                              {{"task", event.task_id()}, {"error", written.error().message}});
    take_events(task);
}

void NodeTasks::subscribe(core::Callback<void(const wire::TaskEvent&)> on_event) {
    on_event_ = std::move(on_event);
    deliver();
}

// In a later turn, so that the subscriber may call anything.
void NodeTasks::deliver() {
    if (delivering_ || !on_event_ || scope_.cancelled()) return;
    delivering_ = true;
    scope_.spawn([](NodeTasks& self) -> net::Task<void> {
        auto slept = co_await net::sleep(self.loop_, core::Duration(0));
        self.delivering_ = false;
        if (!slept) co_return;
        std::vector<wire::TaskEvent> untold;
        for (auto& [id, task] : self.tasks_) {
            for (const wire::TaskEvent& event : task->events) {
                if (event.sequence() <= task->told) continue;
                task->told = event.sequence();
                untold.push_back(event);
            }
        }
        for (const wire::TaskEvent& event : untold) self.on_event_(event);
    }(*this));
}

net::Task<Result<void>> NodeTasks::acknowledge(std::string task_id, uint64_t sequence) {
    const auto found = tasks_.find(task_id);
    if (found == tasks_.end()) co_return Result<void>();
    Task& task = *found->second;
    const bool last = std::ranges::any_of(
        task.events, [&](const auto& event) { return event.sequence() <= sequence && is_last_event(event); });
    std::erase_if(task.events, [&](const auto& event) { return event.sequence() <= sequence; });
    task.acknowledged = std::max(task.acknowledged, std::min(sequence, task.last_sequence));
    if (last && !task.removing) {
        // The whole directory goes; until it is gone its events are there and will be told again.
        task.removing = true;
        scope_.spawn(remove(std::move(task_id)));
    } else if (!last) {
        remove_events(task.directory.get(), sequence);
    }
    co_return Result<void>();
}

net::Task<void> NodeTasks::remove(std::string task_id) {
    for (;;) {
        Task& task = *tasks_.at(task_id);
        auto ended = co_await task.linked.wait();
        if (!ended) co_return;
        if (!is_locked(task.directory.get())) break;
        auto slept = co_await net::sleep(loop_, kShimPause);  // it is still tidying up
        if (!slept) co_return;
    }
    wire::LauncherRequest request;
    request.mutable_remove()->set_task_id(task_id);
    auto removed = co_await launcher_->ask(std::move(request));
    if (!removed) {
        options_.logger.warning("task not removed", {{"task", task_id}, {"error", removed.error().message}});
        if (scope_.cancelled()) co_return;
    }
    // `follow` may be asleep for its last pause.
    auto slept = co_await net::sleep(loop_, 2 * kShimPause);
    if (slept) tasks_.erase(task_id);
}

// ---- launching

uint32_t NodeTasks::free_user_base() const {
    std::set<uint32_t> used;
    for (const auto& [id, task] : tasks_) used.insert(task->plan.user_base());
    // Two agents on one machine begin at different places.
    const uint32_t begin = static_cast<uint32_t>(std::stoul(name_, nullptr, 16)) % kUserRanges;
    for (uint32_t i = 0; i < kUserRanges; i++) {
        const uint32_t base = kUserBaseFirst + (begin + i) % kUserRanges * kIdsPerTask;
        if (!used.contains(base)) return base;
    }
    return 0;
}

bool NodeTasks::address_used(const std::string& address) const {
    return std::ranges::any_of(
        tasks_, [&](const auto& entry) { return entry.second->plan.spec().network().address() == address; });
}

Result<std::string> NodeTasks::free_address() {
    const auto gateway = core::parse_ipv4(gateway_);
    if (!gateway) return fail(Errc::kUnsupported, "network.mode: this node has no bridge for tasks");
    const core::Ipv4Prefix subnet{*gateway - 1, prefix_length_};
    // Without network, gateway and broadcast; in one that other nodes reach also without the node's own.
    const uint32_t own = subnet.length <= apps::kTaskSubnetLength ? 1 : 0;
    const uint32_t count = subnet.last() - subnet.address - 2 - own;
    for (uint32_t i = 0; i < count; i++) {
        // Round and round: an address that was just given up is not soon another's, whose peers may still
        // call the old one.
        last_address_ = (last_address_ + 1) % count;
        std::string address = core::format_ipv4(subnet.address + 2 + last_address_);
        if (!address_used(address)) return address;
    }
    return fail(Errc::kBusy, "network.address: all {} of the node's bridge are in use", count);
}

Result<wire::ShimPlan> NodeTasks::plan_for(wire::TaskSpec spec) {
    wire::ShimPlan plan;
    plan.set_directory(options_.directory);
    plan.set_name(name_);
    if (!spec.privileged() && !spec.host_users()) plan.set_user_base(free_user_base());
    if (spec.network().mode() == wire::TaskNetwork::BRIDGE) {
        if (spec.network().address().empty()) {
            TRY_ASSIGN(*spec.mutable_network()->mutable_address(), free_address());
        } else if (address_used(spec.network().address())) {
            return fail(Errc::kConflict, "network.address: {} is in use", spec.network().address());
        }
        plan.set_bridge(bridge_);
        plan.set_gateway(gateway_);
        plan.set_prefix_length(prefix_length_);
    }
    *plan.mutable_spec() = std::move(spec);
    return plan;
}

net::Task<Result<void>> NodeTasks::launch(wire::TaskSpec spec) {
    CO_TRY(check_task_spec(spec));
    const std::string id = spec.task_id();
    if (tasks_.contains(id))
        co_return fail(Errc::kConflict, "task_id: '{}' was used before on this node", id);
    if (tasks_.size() >= kTasksPerNodeMax)
        co_return fail(Errc::kBusy, "the node has {} tasks, which is the most it takes", kTasksPerNodeMax);
    CO_TRY_ASSIGN(wire::ShimPlan plan, plan_for(std::move(spec)));
    auto task = std::make_unique<Task>(loop_);
    task->plan = plan;
    wire::LauncherRequest request;
    *request.mutable_launch() = std::move(plan);
    tasks_[id] = std::move(task);
    auto answer = co_await launcher_->ask(std::move(request));
    // A launcher that died over it may have made it nevertheless.
    auto directory = answer || answer.error().code == Errc::kUnavailable
                         ? open_task_directory(options_.directory, id)
                         : Result<Descriptor>(fail(Errc::kNotFound, "not made"));
    if (!directory) {
        tasks_.erase(id);
        if (!answer) co_return core::pass(std::move(answer));
        co_return core::pass(std::move(directory));
    }
    tasks_[id]->directory = std::move(*directory);
    if (answer) tasks_[id]->shim_pid = answer->shim_pid();
    scope_.spawn(follow(id));
    co_return Result<void>();
}

// ---- requests to shims

NodeTasks::Task* NodeTasks::running(const std::string& task_id) {
    const auto found = tasks_.find(task_id);
    if (found == tasks_.end() || found->second->phase == wire::LocalTask::ENDED) return nullptr;
    return found->second.get();
}

// Right after our own start a task's shim has not told yet that it runs.
net::Task<Result<NodeTasks::Task*>> NodeTasks::heard(const std::string& task_id) {
    Task* task = running(task_id);
    if (task == nullptr) co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    CO_TRY(co_await net::with_deadline(loop_, kLinkMax, "the task's shim", task->linked.wait()));
    task = running(task_id);  // it may have ended meanwhile
    if (task == nullptr) co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    co_return task;
}

net::Task<Result<void>> NodeTasks::request(std::string task_id, wire::ShimRequest request) {
    CO_TRY_ASSIGN(Task* const task, co_await heard(task_id));
    if (!task->link) co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    co_return co_await task->link->send(request);
}

net::Task<Result<void>> NodeTasks::kill(std::string task_id, std::optional<core::Duration> grace) {
    Task* task = running(task_id);
    if (task == nullptr) co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    task->kill_requested = true;
    uint32_t grace_ms =
        task->plan.spec().kill_grace_ms() == 0 ? kDefaultGraceMs : task->plan.spec().kill_grace_ms();
    if (grace)
        grace_ms = static_cast<uint32_t>(
            std::max<int64_t>(0, std::chrono::ceil<core::milliseconds>(*grace).count()));
    co_return co_await request(std::move(task_id), kill_request(grace_ms));
}

net::Task<Result<void>> NodeTasks::signal(std::string task_id, int number) {
    if (number < 1 || number > 64) co_return fail(Errc::kInvalid, "signal: 1 to 64");
    wire::ShimRequest wanted;
    wanted.set_signal(static_cast<uint32_t>(number));
    co_return co_await request(std::move(task_id), std::move(wanted));
}

net::Task<Result<void>> NodeTasks::renew_lease(std::string task_id, int64_t until_ms) {
    wire::ShimRequest wanted;
    wanted.mutable_lease()->set_until_ms(until_ms);
    wanted.mutable_lease()->set_duration_ms(
        static_cast<uint32_t>(std::max<int64_t>(until_ms - net::boot_time_ms(), 1)));
    co_return co_await request(std::move(task_id), std::move(wanted));
}

net::Task<Result<std::unique_ptr<ExecSession>>> NodeTasks::exec(std::string task_id, wire::ShimExec what) {
    CO_TRY_ASSIGN(Task* const task, co_await heard(task_id));
    if (task->phase != wire::LocalTask::RUNNING)
        co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    if (exec_sessions_ >= kExecSessionsMax)
        co_return fail(Errc::kBusy, "{} programs are run in tasks of this node, which is the most",
                       kExecSessionsMax);
    CO_TRY_ASSIGN(auto stream, co_await connect(*task));
    wire::ShimRequest wanted;
    *wanted.mutable_exec() = std::move(what);
    CO_TRY(co_await stream->send(wanted));
    co_return std::make_unique<ExecStream>(std::move(stream), exec_sessions_);
}

// ---- shims of another build

bool NodeTasks::is_of_other_build(const Task& task) const {
    struct stat ours{};
    struct stat theirs{};
    if (::fstat(binary_.get(), &ours) != 0 ||
        ::stat(std::format("/proc/{}/exe", task.shim_pid).c_str(), &theirs) != 0)
        return false;
    // Another build is another file, also under the same name.
    return ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino ||
           ours.st_mtim.tv_sec != theirs.st_mtim.tv_sec || ours.st_mtim.tv_nsec != theirs.st_mtim.tv_nsec;
}

/// Tasks of before our start, one after the other: a build that does harm shall do it once. Those that follow
/// are started by our own launcher.
net::Task<void> NodeTasks::replace_shims() {
    std::vector<std::string> ids;
    for (const auto& [id, task] : tasks_) ids.push_back(id);
    size_t replaced = 0;
    size_t kept = 0;
    for (const std::string& id : ids) {
        auto slept = co_await net::sleep(loop_, kReplacePause);
        if (!slept) co_return;
        auto heard_of = co_await heard(id);
        if (!heard_of || !is_of_other_build(**heard_of)) continue;
        auto done = co_await replace_shim(id);
        if (scope_.cancelled()) co_return;
        ++(done ? replaced : kept);
        if (done) continue;
        options_.logger.warning("a task keeps its shim of another build",
                                {{"task", id}, {"why", done.error().message}});
        const Task* task = running(id);
        if (task == nullptr || is_locked(task->directory.get())) continue;
        options_.logger.error("a shim has ended while it was replaced; the others stay as they are",
                              {{"task", id}});
        co_return;
    }
    if (replaced + kept > 0) options_.logger.info("shims replaced", {{"replaced", replaced}, {"kept", kept}});
}

net::Task<Result<void>> NodeTasks::replace_shim(std::string task_id) {
    CO_TRY_ASSIGN(Task* const task, co_await heard(task_id));
    if (!task->link) co_return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    wire::ShimRequest wanted;
    wanted.mutable_replace()->set_descriptor(static_cast<uint32_t>(binary_.get()));
    net::Wait<void> wait(loop_);
    task->replacing = &wait;
    auto done = co_await task->link->send(wanted);
    if (done)
        done = co_await net::with_deadline(
            loop_, kReplaceMax, "the task's shim",
            [](net::Wait<void>& told) -> net::Task<Result<void>> { co_return co_await told; }(wait));
    const auto found = tasks_.find(task_id);
    if (found == tasks_.end()) co_return fail(Errc::kNotFound, "task '{}' has ended", task_id);
    found->second->replacing = nullptr;
    CO_TRY(std::move(done));
    if (is_of_other_build(*found->second))
        co_return fail(Errc::kUnavailable, "its shim says it has become our build, and has not");
    co_return Result<void>();
}

// ---- looking

wire::LocalTask NodeTasks::describe(const Task& task) const {
    wire::LocalTask out;
    out.set_task_id(task.plan.spec().task_id());
    out.set_phase(task.phase);
    if (task.phase == wire::LocalTask::RUNNING) out.set_pid(task.pid);
    out.set_shim_pid(task.shim_pid);
    out.set_address(task.plan.spec().network().address());
    out.set_last_sequence(task.last_sequence);
    out.set_acknowledged_sequence(task.acknowledged);
    *out.mutable_spec() = task.plan.spec();
    out.set_kill_requested(task.kill_requested);
    return out;
}

std::vector<wire::LocalTask> NodeTasks::list() const {
    std::vector<wire::LocalTask> out;
    for (const auto& [id, task] : tasks_) {
        if (!task->removing) out.push_back(describe(*task));
    }
    return out;
}

std::optional<wire::LocalTask> NodeTasks::find(const std::string& task_id) const {
    const auto found = tasks_.find(task_id);
    if (found == tasks_.end() || found->second->removing) return std::nullopt;
    return describe(*found->second);
}

Result<wire::TaskUsage> NodeTasks::usage(const std::string& task_id) {
    if (running(task_id) == nullptr) return fail(Errc::kNotFound, "task '{}' does not run", task_id);
    wire::TaskUsage usage = cgroups_->usage(task_id);
    usage.set_time_ms(net::SystemClock().wall().unix_ms);
    const Descriptor logs(
        ::open(log_directory(options_.directory, task_id).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const char* stream : {"stdout", "stderr"}) {
        const std::vector<LogSegment> segments = list_log(logs.get(), stream);
        if (!segments.empty())
            usage.set_log_bytes(usage.log_bytes() + segments.back().offset + segments.back().size);
    }
    return usage;
}

Result<LogPiece> NodeTasks::read_log(const std::string& task_id, LogStream stream, uint64_t offset,
                                     size_t length) {
    if (!is_task_id(task_id)) return fail(Errc::kInvalid, "task_id: not a task id");
    const Descriptor logs(
        ::open(log_directory(options_.directory, task_id).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!logs) return fail(Errc::kNotFound, "task '{}' has no logs on this node", task_id);
    TRY_ASSIGN(LogRead read, read_log_files(logs.get(), stream == LogStream::kStdout ? "stdout" : "stderr",
                                            offset, std::min(length, kLogReadBytesMax)));
    return LogPiece{read.offset, std::move(read.bytes), read.end};
}

net::Task<Result<void>> NodeTasks::expire_logs(core::Duration age, uint64_t bytes) {
    struct Ended {
        int64_t age_s = 0;
        uint64_t bytes = 0;
        std::string id{};
    };
    std::vector<Ended> ended;
    const int64_t now = net::SystemClock().wall().unix_ms / 1000;
    for (const std::string& id : names_in(AT_FDCWD, logs_directory(options_.directory))) {
        if (tasks_.contains(id) || !is_task_id(id)) continue;
        const Descriptor logs(
            ::open(log_directory(options_.directory, id).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat found{};
        if (!logs || ::fstat(logs.get(), &found) != 0) continue;
        Ended one{now - found.st_mtim.tv_sec, 0, id};
        for (const char* stream : {"stdout", "stderr"}) {
            for (const LogSegment& segment : list_log(logs.get(), stream)) {
                one.bytes += segment.size;
                struct stat file{};
                if (::fstatat(logs.get(), segment.name.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0)
                    one.age_s = std::min(one.age_s, now - file.st_mtim.tv_sec);
            }
        }
        ended.push_back(std::move(one));
    }
    std::ranges::sort(ended, {}, &Ended::age_s);  // the youngest are kept
    uint64_t kept = 0;
    for (const Ended& one : ended) {
        kept += one.bytes;
        if (kept <= bytes && std::chrono::seconds(one.age_s) <= age) continue;
        wire::LauncherRequest request;
        request.mutable_remove()->set_task_id(one.id);
        request.mutable_remove()->set_logs(true);
        CO_TRY(co_await launcher_->ask(std::move(request)));
    }
    co_return Result<void>();
}

net::Task<Result<void>> NodeTasks::set_blocked(std::vector<std::string> prefixes,
                                               std::vector<uint32_t> node_ports_tcp,
                                               std::vector<uint32_t> node_ports_udp) {
    for (const std::string& prefix : prefixes) {
        if (!core::parse_ipv4_prefix(prefix))
            co_return fail(Errc::kInvalid, "blocked: '{}' is no IPv4 prefix", prefix);
    }
    wire::LauncherRequest request;
    request.mutable_blocked();  // both lists may be empty
    for (const std::string& prefix : prefixes) request.mutable_blocked()->add_prefixes(prefix);
    for (const uint32_t port : node_ports_tcp) request.mutable_blocked()->add_node_ports_tcp(port);
    for (const uint32_t port : node_ports_udp) request.mutable_blocked()->add_node_ports_udp(port);
    launcher_->set_blocked(request.blocked());
    auto answer = co_await launcher_->ask(std::move(request));
    if (!answer) co_return core::pass(std::move(answer));
    co_return Result<void>();
}

net::Task<Result<void>> NodeTasks::set_tenants(std::map<std::string, TaskTenancy> tenants) {
    wire::LauncherRequest request;
    wire::LauncherTenants& all = *request.mutable_tenants();  // may be empty
    for (auto& [id, task] : tasks_) {
        if (task->plan.spec().network().mode() != wire::TaskNetwork::BRIDGE) continue;
        const auto known = tenants.find(id);
        const TaskTenancy tenancy = known == tenants.end() ? TaskTenancy() : known->second;
        task->plan.mutable_spec()->set_tenant(tenancy.tenant);
        task->plan.mutable_spec()->set_tenant_number(tenancy.number);
        wire::TaskTenant& one = *all.add_tenants();
        one.set_address(task->plan.spec().network().address());
        one.set_tenant(tenancy.tenant);
        one.set_number(tenancy.number);
    }
    launcher_->set_tenants(all);
    auto answer = co_await launcher_->ask(std::move(request));
    if (!answer) co_return core::pass(std::move(answer));
    co_return Result<void>();
}

std::string NodeTasks::subnet() const {
    const auto gateway = core::parse_ipv4(gateway_);
    return gateway ? std::format("{}/{}", core::format_ipv4(*gateway - 1), prefix_length_) : "";
}

net::Task<Result<void>> NodeTasks::choose_subnet(std::vector<core::Ipv4Prefix> taken) {
    for (const auto& [id, task] : tasks_) {
        if (task->plan.spec().network().mode() == wire::TaskNetwork::BRIDGE)
            co_return fail(Errc::kBusy, "tasks have addresses of {}", subnet());
    }
    CO_TRY_ASSIGN(const std::string chosen,
                  agent::choose_subnet(options_.network, name_, options_.directory, taken));
    if (chosen == subnet()) co_return Result<void>();
    launcher_->set_subnet(chosen);
    wire::LauncherRequest request;
    *request.mutable_setup() = launcher_->setup();
    CO_TRY_ASSIGN(const wire::LauncherAnswer answer, co_await launcher_->ask(std::move(request)));
    take_setup(answer);
    co_return Result<void>();
}

net::Task<Result<std::vector<std::string>>> NodeTasks::set_network(wire::LauncherNetwork network) {
    launcher_->set_network(network);
    wire::LauncherRequest request;
    *request.mutable_network() = std::move(network);
    CO_TRY_ASSIGN(const wire::LauncherAnswer answer, co_await launcher_->ask(std::move(request)));
    co_return std::vector<std::string>(answer.problems().begin(), answer.problems().end());
}

net::Task<void> NodeTasks::close() {
    scope_.cancel();
    for (auto& [id, task] : tasks_) {
        if (task->link) co_await task->link->close();
    }
    if (launcher_) co_await launcher_->close();
    co_await scope_.close();
}

}  // namespace smackd::agent
