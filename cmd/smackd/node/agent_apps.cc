#include "cmd/smackd/node/agent_apps.h"

#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node/task_orders.h"

namespace smackd::cmd {

using core::Result;

AgentApps::AgentApps(LocalTasksOptions options, Environment environment)
    : environment_(std::move(environment)),
      thread_("apps", environment_.logger),
      sockets_("task sockets", environment_.logger),
      scope_(thread_.loop()),
      woken_(thread_.loop()),
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
            [this](wire::Command command) { return report(std::move(command)); },
            [this] { return own_tasks(); },
            [this](wire::EdgeCertificateRequest request) { return certificates(std::move(request)); },
            sockets_.loop(),
            [this](std::string_view call, core::Bytes request, auto done) {
                environment_.ask_for_task(call, std::move(request), std::move(done));
            }};
        local_ = std::make_unique<LocalTasks>(std::move(options), std::move(local));
        scope_.spawn(run());
        return true;
    });
}

AgentApps::~AgentApps() {
    stop();
}

void AgentApps::stop(bool leaves) {
    if (std::exchange(stopped_, true)) return;
    thread_.await<bool>([this, leaves] {
        if (leaves) local_->leave();
        return [](AgentApps& self) -> net::Task<bool> {
            co_await self.scope_.close();
            co_await self.exec_orders_.close();
            co_await self.local_->close();
            self.local_.reset();
            co_return true;
        }(*this);
    });
    sockets_.stop();
    thread_.stop();
}

void AgentApps::changed(StateChange change) {
    thread_.loop().post(
        [this, change = std::move(change)]() mutable {
            if (change.everything) {
                anew_ = true;
                pending_.clear();
            }
            for (wire::AgentRow& row : change.rows) pending_.push_back(std::move(row));
            woken_.set();
        },
        "state");
}

void AgentApps::set_leader(core::NodeId leader) {
    thread_.loop().post(
        [this, leader] {
            if (std::exchange(leader_, leader) != leader) woken_.set();
        },
        "leader");
}

void AgentApps::order(std::string method, core::Bytes request,
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

net::Task<void> AgentApps::run() {
    while (!scope_.cancelled()) {
        woken_.reset();
        if (anew_) {
            auto loaded = co_await load();
            if (!loaded)
                environment_.logger.warning("reading the agent's copy", {{"error", loaded.error().message}});
        }
        apply_pending();
        // Before the first snapshot nothing is known, and no task of before is a stranger.
        if (!model_.model.nodes.empty()) {
            co_await local_->start();
            apply_pending();
            local_->look(model_.model, leader_, model_.definitions);
        }
        auto woken =
            co_await net::with_deadline<void>(thread_.loop(), kTasksRetry, "a change", woken_.wait());
        if (!woken && woken.error().code == core::Errc::kCancelled) co_return;
    }
}

// What changes while the copy is read is pending, and put over it again: the same rows, in their order.
net::Task<Result<void>> AgentApps::load() {
    anew_ = false;
    using Model = services::AgentModel;
    auto read = co_await environment_.workers.run<Model>(thread_.loop(), [this]() -> Result<Model> {
        TRY_ASSIGN(auto reader, storage::agent::AgentReader::open(environment_.vfs, environment_.copy));
        Model model;
        for (const std::string& kind : Model::kinds()) {
            TRY_ASSIGN(const storage::agent::AgentRows rows, reader.rows(kind));
            model.model.revision = rows.position;
            for (const wire::AgentRow& row : rows.rows) TRY(model.apply(row));
        }
        return model;
    });
    if (!read) {
        anew_ = true;
        co_return core::pass(std::move(read));
    }
    model_ = std::move(*read);
    co_return Result<void>();
}

void AgentApps::apply_pending() {
    for (const wire::AgentRow& row : std::exchange(pending_, {})) {
        auto applied = model_.apply(row);
        if (!applied) environment_.logger.error("a row of the feed", {{"error", applied.error().message}});
    }
}

net::Task<Result<wire::CommandResult>> AgentApps::report(wire::Command command) {
    CO_TRY_ASSIGN(const core::Bytes answer,
                  co_await await_foreign<core::Bytes>(thread_.loop(), [&](auto done) {
                      environment_.report(command.SerializeAsString(), std::move(done));
                  }));
    wire::CommandResult result;
    if (!result.ParseFromString(answer))
        co_return core::fail(core::Errc::kCorrupt, "the server's answer is no command result");
    co_return result;
}

net::Task<Result<services::OwnTasks>> AgentApps::own_tasks() {
    CO_TRY_ASSIGN(const core::Bytes answer,
                  co_await await_foreign<core::Bytes>(
                      thread_.loop(), [&](auto done) { environment_.own_tasks(std::move(done)); }));
    wire::OwnTasks own;
    if (!own.ParseFromString(answer))
        co_return core::fail(core::Errc::kCorrupt, "the server's answer is no wire.OwnTasks");
    co_return services::OwnTasks(own.task().begin(), own.task().end());
}

net::Task<Result<wire::EdgeIssuedCertificates>> AgentApps::certificates(
    wire::EdgeCertificateRequest request) {
    CO_TRY_ASSIGN(const core::Bytes answer,
                  co_await await_foreign<core::Bytes>(thread_.loop(), [&](auto done) {
                      environment_.certificates(request.SerializeAsString(), std::move(done));
                  }));
    wire::EdgeIssuedCertificates issued;
    if (!issued.ParseFromString(answer))
        co_return core::fail(core::Errc::kCorrupt, "the server's answer is no wire.EdgeIssuedCertificates");
    co_return issued;
}

}  // namespace smackd::cmd
