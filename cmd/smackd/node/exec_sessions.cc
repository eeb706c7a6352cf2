#include "cmd/smackd/node/exec_sessions.h"

#include "cmd/smackd/node/foreign_wait.h"

namespace smackd::cmd {

using agent::ExecSession;
using core::Result;
using net::Task;

namespace {

template <class T>
Task<void> answer(std::shared_ptr<ExecSession> session, core::Callback<Task<Result<T>>(ExecSession&)> what,
                  core::Callback<void(Result<T>)> done) {
    auto result = co_await what(*session);
    done(std::move(result));
}

Task<void> end(std::shared_ptr<ExecSession> session) {
    co_await session->close();
}

}  // namespace

/// The caller's end.
class ExecSessions::Remote final : public ExecSession {
 public:
    Remote(ExecSessions& owner, net::Loop& caller, uint64_t number)
        : owner_(owner), caller_(caller), number_(number) {}
    ~Remote() override {
        owner_.loop_.post([&owner = owner_, number = number_] { owner.drop(number); }, "exec");
    }
    Remote(const Remote&) = delete;
    Remote& operator=(const Remote&) = delete;

    Task<Result<Output>> read() override {
        return ask<Output>([](ExecSession& session) { return session.read(); });
    }
    Task<Result<void>> write(std::string bytes) override {
        return ask<void>([bytes = std::move(bytes)](ExecSession& session) mutable {
            return session.write(std::move(bytes));
        });
    }
    Task<Result<void>> end_input() override {
        return ask<void>([](ExecSession& session) { return session.end_input(); });
    }
    Task<Result<void>> resize(uint32_t rows, uint32_t columns) override {
        return ask<void>([rows, columns](ExecSession& session) { return session.resize(rows, columns); });
    }
    /// The destructor does it.
    Task<void> close() override { co_return; }

 private:
    template <class T>
    Task<Result<T>> ask(Ask<T> what) {
        auto result = co_await await_foreign<T>(caller_, [&](Done<T> done) {
            owner_.loop_.post(
                [&owner = owner_, number = number_, what = std::move(what),
                 done = std::move(done)]() mutable {
                    owner.ask<T>(number, std::move(what), std::move(done));
                },
                "exec");
        });
        co_return result;
    }

    ExecSessions& owner_;
    net::Loop& caller_;
    const uint64_t number_;
};

Task<Result<ExecSessions::Session>> ExecSessions::open(net::Loop& caller, Open open) {
    auto opened = co_await await_foreign<Session>(caller, [&](Done<Session> done) {
        loop_.post(
            [this, &caller, open = std::move(open), done = std::move(done)]() mutable {
                scope_.spawn(start(caller, std::move(open), std::move(done)));
            },
            "exec");
    });
    co_return opened;
}

Task<void> ExecSessions::start(net::Loop& caller, Open open, Done<Session> done) {
    if (scope_.cancelled()) {
        done(core::fail(core::Errc::kUnavailable, "this node is stopping"));
        co_return;
    }
    auto opened = co_await open();
    if (!opened) {
        done(core::pass(std::move(opened)));
        co_return;
    }
    sessions_.emplace(++last_, std::move(*opened));
    done(std::make_unique<Remote>(*this, caller, last_));
}

template <class T>
void ExecSessions::ask(uint64_t number, Ask<T> what, Done<T> done) {
    const auto found = sessions_.find(number);
    if (found == sessions_.end()) return done(core::fail(core::Errc::kCancelled, "the program was ended"));
    scope_.spawn(answer<T>(found->second, std::move(what), std::move(done)));
}

void ExecSessions::drop(uint64_t number) {
    const auto found = sessions_.find(number);
    if (found == sessions_.end()) return;
    scope_.spawn(end(std::move(found->second)));
    sessions_.erase(found);
}

Task<void> ExecSessions::close() {
    for (auto& [number, session] : std::exchange(sessions_, {})) co_await session->close();
    co_await scope_.close();
}

}  // namespace smackd::cmd
