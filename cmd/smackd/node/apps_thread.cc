#include "cmd/smackd/node/apps_thread.h"

#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node/remote_exec.h"
#include "cmd/smackd/node/task_orders.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr core::Duration kRoleLook = core::milliseconds(200);
constexpr core::Duration kFollowRetry = core::seconds(5);

}  // namespace

AppsThread::AppsThread(LocalTasksOptions options, AppsEnvironment environment)
    : identity_(options.identity),
      environment_(std::move(environment)),
      thread_("apps", environment_.logger),
      sockets_("task sockets", environment_.logger),
      scope_(thread_.loop()),
      state_(thread_.loop(), environment_.consensus, environment_.hub),
      follower_(thread_.loop(), environment_.workers, environment_.hub, environment_.reader),
      exec_sessions_(thread_.loop()),
      exec_orders_(thread_.loop(), environment_.logger, [this](std::string task, wire::ShimExec what) {
          return local_->exec(std::move(task), std::move(what));
      }) {
    thread_.start();
    sockets_.start();
    thread_.call<bool>([this, &options] {
        LocalTasks::Environment local{
            thread_.loop(),
            environment_.disk,
            environment_.clock,
            environment_.workers,
            environment_.logger,
            [this](wire::Command command) { return propose_as_machine(std::move(command)); },
            [this] { return own_tasks(); },
            [this](wire::EdgeCertificateRequest request) { return certificates(std::move(request)); },
            sockets_.loop(),
            [this](std::string_view call, core::Bytes request, auto done) {
                environment_.ask_for_task(call, std::move(request), std::move(done));
            }};
        local_ = std::make_unique<LocalTasks>(std::move(options), std::move(local));
        services::Scheduler::Parts parts{thread_.loop(),
                                         environment_.workers,
                                         environment_.hub,
                                         environment_.reader,
                                         environment_.clock,
                                         random_,
                                         core::NodeId{identity_.node_id},
                                         environment_.logger.named("scheduler"),
                                         [this](core::Bytes command, auto done) {
                                             environment_.consensus.propose(std::move(command),
                                                                            std::move(done));
                                         },
                                         [this] { return environment_.liveness(); }};
        scheduler_ = std::make_unique<services::Scheduler>(std::move(parts));
        decide_role();
        scope_.spawn(run());
        return true;
    });
}

AppsThread::~AppsThread() {
    stop();
}

void AppsThread::stop(bool leaves) {
    if (std::exchange(stopped_, true)) return;
    thread_.await<bool>([this, leaves] {
        if (leaves) local_->leave();
        return [](AppsThread& self) -> net::Task<bool> {
            self.thread_.loop().cancel(self.role_timer_);
            co_await self.scheduler_->close();
            co_await self.scope_.close();
            co_await self.exec_sessions_.close();
            co_await self.exec_orders_.close();
            co_await self.local_->close();
            self.local_.reset();
            self.scheduler_.reset();
            co_return true;
        }(*this);
    });
    sockets_.stop();
    thread_.stop();
}

void AppsThread::consensus_changed() {
    thread_.loop().post([this] { decide_role(); }, "consensus changed");
}

/// A new leader decides once an entry of its own term is applied.
void AppsThread::decide_role() {
    if (scope_.cancelled()) return;
    thread_.loop().cancel(std::exchange(role_timer_, 0));
    const storage::ReplicaStatus status = environment_.consensus.status();
    const bool leads = status.role == storage::ReplicaRole::kLeader;
    scheduler_->lead(leads && status.may_plan ? std::optional(status.term) : std::nullopt);
    if (leads && !status.may_plan)
        role_timer_ = thread_.loop().start(kRoleLook, [this] { decide_role(); }, "role");
}

net::Task<void> AppsThread::run() {
    while (!scope_.cancelled()) {
        auto followed = co_await follow();
        if (scope_.cancelled()) co_return;
        environment_.logger.warning("following applications", {{"error", followed.error().message}});
        auto slept = co_await net::sleep(thread_.loop(), kFollowRetry);
        if (!slept) co_return;
    }
}

/// Until an error or the end.
net::Task<Result<void>> AppsThread::follow() {
    CO_TRY(co_await services::wait_for_revision(thread_.loop(), environment_.hub,
                                                {environment_.hub.head().epoch, 1}));
    CO_TRY(co_await follower_.load());
    while (true) {
        co_await local_->start();
        local_->look(follower_.model(), environment_.consensus.status().leader);
        bool reloaded = false;
        CO_TRY(co_await follower_.next(kTasksRetry, reloaded));
    }
}

net::Task<Result<wire::CommandResult>> AppsThread::propose_as_machine(wire::Command command) {
    wire::Actor* actor = command.mutable_actor();
    actor->set_kind(wire::Actor::MACHINE);
    actor->set_principal("smack/" + identity_.name + "@" + identity_.realm);
    actor->set_door("agent");
    co_return co_await state_.propose(std::move(command));
}

net::Task<Result<services::OwnTasks>> AppsThread::own_tasks() {
    CO_TRY(co_await state_.barrier());
    co_return co_await services::read_own_tasks(thread_.loop(), environment_.workers, environment_.reader,
                                                core::NodeId{identity_.node_id});
}

net::Task<Result<wire::EdgeIssuedCertificates>> AppsThread::certificates(
    wire::EdgeCertificateRequest request) {
    co_return co_await environment_.workers.run<wire::EdgeIssuedCertificates>(
        thread_.loop(), [this, request = std::move(request)] {
            return services::issue_edge_certificates(environment_.issuer, request, identity_.name,
                                                     environment_.clock.wall());
        });
}

void AppsThread::answer(std::string method, core::Bytes request,
                        core::Callback<void(Result<core::Bytes>)> done) {
    thread_.loop().post(
        [this, method = std::move(method), request = std::move(request), done = std::move(done)]() mutable {
            if (!ExecOrders::knows(method) || local_ == nullptr)
                return done(answer_order(local_.get(), method, request));
            scope_.spawn(
                tell_result(exec_orders_.answer(std::move(method), std::move(request)), std::move(done)));
        },
        "order");
}

template <class T, class Work>
net::Task<Result<T>> AppsThread::run_for(net::Loop& caller, Work work) {
    co_return co_await await_foreign<T>(caller, [&](auto done) {
        thread_.loop().post(
            [this, work = std::move(work), done = std::move(done)]() mutable {
                scope_.spawn(tell_result(work(), std::move(done)));
            },
            "api");
    });
}

net::Task<Result<agent::LogPiece>> AppsThread::read_log(net::Loop& caller, std::string task,
                                                        agent::LogStream stream, uint64_t offset,
                                                        size_t length) {
    return run_for<agent::LogPiece>(caller, [this, task = std::move(task), stream, offset, length] {
        return find_log(task, stream, offset, length);
    });
}

net::Task<Result<std::vector<services::UsageSample>>> AppsThread::node_usage(net::Loop& caller,
                                                                             core::NodeId node,
                                                                             int64_t since_ms) {
    return run_for<std::vector<services::UsageSample>>(
        caller, [this, node, since_ms] { return find_usage(node, since_ms); });
}

net::Task<Result<core::Bytes>> AppsThread::order(core::NodeId node, std::string_view method,
                                                 core::Bytes request) {
    co_return co_await await_foreign<core::Bytes>(thread_.loop(), [&](auto done) {
        environment_.order(node, std::string(method), std::move(request), std::move(done));
    });
}

net::Task<Result<std::vector<services::UsageSample>>> AppsThread::find_usage(core::NodeId node,
                                                                             int64_t since_ms) {
    if (local_ == nullptr) co_return core::fail(core::Errc::kUnavailable, "this node is stopping");
    if (node.value == identity_.node_id) co_return local_->usage(since_ms);
    CO_TRY_ASSIGN(const core::Bytes answer,
                  co_await order(node, kNodeUsageOrder, node_usage_request(since_ms)));
    co_return node_usage_samples(answer);
}

/// On the node that the state names. Of a task that the state has forgotten only this node's own are looked
/// at.
net::Task<Result<agent::LogPiece>> AppsThread::find_log(std::string task, agent::LogStream stream,
                                                        uint64_t offset, size_t length) {
    if (local_ == nullptr) co_return core::fail(core::Errc::kUnavailable, "this node is stopping");
    const auto& tasks = follower_.model().tasks;
    const auto row = tasks.find(task);
    const uint64_t node = row == tasks.end() ? 0 : row->second.put.node_id();
    if (node == 0 || node == identity_.node_id) co_return local_->read_log(task, stream, offset, length);
    CO_TRY_ASSIGN(const core::Bytes answer, co_await order(core::NodeId{node}, kTaskLogOrder,
                                                           task_log_request(task, stream, offset, length)));
    co_return task_log_piece(answer);
}

net::Task<Result<std::unique_ptr<agent::ExecSession>>> AppsThread::exec(net::Loop& caller, std::string task,
                                                                        wire::ShimExec what) {
    return exec_sessions_.open(caller, [this, task = std::move(task), what = std::move(what)]() mutable {
        return open_exec(std::move(task), std::move(what));
    });
}

/// On the node that the state names.
net::Task<Result<std::unique_ptr<agent::ExecSession>>> AppsThread::open_exec(std::string task,
                                                                             wire::ShimExec what) {
    const auto& tasks = follower_.model().tasks;
    const auto row = tasks.find(task);
    const core::NodeId node{row == tasks.end() ? 0 : row->second.put.node_id()};
    if (node.value == 0 || node.value == identity_.node_id)
        co_return co_await local_->exec(std::move(task), std::move(what));
    std::string machine = row->second.put.machine();
    wire::OpenExec order;
    order.set_task(std::move(task));
    *order.mutable_exec() = std::move(what);
    RemoteExec::Ask ask = [this, node](std::string_view method, core::Bytes request) {
        return this->order(node, method, std::move(request));
    };
    co_return co_await RemoteExec::open(thread_.loop(), std::move(ask), std::move(machine), std::move(order));
}

}  // namespace smackd::cmd
