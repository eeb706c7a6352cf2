#include "cmd/smackd/node/apps_thread.h"

#include "cmd/smackd/node/foreign_wait.h"

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
      scope_(thread_.loop()),
      state_(thread_.loop(), environment_.consensus, environment_.hub),
      follower_(thread_.loop(), environment_.workers, environment_.hub, environment_.reader),
      exec_sessions_(thread_.loop()) {
    thread_.start();
    thread_.call<bool>([this, &options] {
        LocalTasks::Environment local{
            thread_.loop(),
            environment_.disk,
            environment_.clock,
            environment_.workers,
            environment_.logger,
            [this](wire::Command command) { return propose_as_machine(std::move(command)); },
            [this] { return own_tasks(); }};
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
            co_await self.local_->close();
            self.local_.reset();
            self.scheduler_.reset();
            co_return true;
        }(*this);
    });
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

net::Task<Result<agent::LogPiece>> AppsThread::read_log(net::Loop& caller, std::string task,
                                                        agent::LogStream stream, uint64_t offset,
                                                        size_t length) {
    auto piece = co_await await_foreign<agent::LogPiece>(caller, [&](auto done) {
        thread_.loop().post(
            [this, task, stream, offset, length, done = std::move(done)]() mutable {
                done(local_->read_log(task, stream, offset, length));
            },
            "log");
    });
    co_return piece;
}

net::Task<Result<std::unique_ptr<agent::ExecSession>>> AppsThread::exec(net::Loop& caller, std::string task,
                                                                        wire::ShimExec what) {
    return exec_sessions_.open(caller, [this, task = std::move(task), what = std::move(what)]() mutable {
        return local_->exec(std::move(task), std::move(what));
    });
}

}  // namespace smackd::cmd
