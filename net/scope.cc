#include "net/scope.h"

namespace smackd::net {

/// A coroutine that nobody awaits: it frees itself and then tells its scope.
struct Scope::Detached {
    struct promise_type : PromiseBase {
        promise_type(Task<void>&, Scope& of) : scope(of) { cancellation = &of.cancellation_; }
        Scope& scope;

        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        struct Free {
            bool await_ready() noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                Scope& owner = self.promise().scope;
                self.destroy();
                owner.ended();
            }
            void await_resume() noexcept {}
        };
        Free final_suspend() noexcept { return {}; }
        void return_void() {}
    };
};

Scope::~Scope() {
    SMACK_ASSERT(running_ == 0);
}

Scope::Detached Scope::run(Task<void> task, Scope& scope) {
    static_cast<void>(scope);
    co_await task;
}

void Scope::spawn(Task<void> task) {
    SMACK_ASSERT(loop_.on_thread());
    ++running_;
    run(std::move(task), *this);
}

void Scope::cancel(std::string_view why) {
    cancellation_.cancel(core::Error{core::Errc::kCancelled, std::string(why), 0});
}

void Scope::ended() {
    if (--running_ > 0) return;
    for (Wait<void>* joiner : std::exchange(joiners_, {})) joiner->complete({});
}

Task<void> Scope::join() {
    while (running_ > 0) {
        UncancellableWait<void> wait(loop_);
        joiners_.push_back(&wait);
        auto ended = co_await wait;
        static_cast<void>(ended);
    }
}

Task<void> Scope::close() {
    cancel();
    co_await join();
}

Task<core::Result<void>> sleep(Loop& loop, core::Duration duration) {
    Wait<void> wait(loop);
    core::TimerId timer = loop.start(duration, [&wait] { wait.complete({}); }, "sleep");
    auto result = co_await wait;
    loop.cancel(timer);
    co_return result;
}

DeadlineTimer::DeadlineTimer(Loop& loop, core::Duration limit, std::string what, Cancellation& cancellation)
    : loop_(loop),
      timer_(loop.start(
          limit,
          [&cancellation, limit, what = std::move(what)] {
              cancellation.cancel(
                  core::Error{core::Errc::kTimeout,
                              std::format("{} took longer than {}", what, core::format_duration(limit)), 0});
          },
          "deadline")) {}

namespace {

Task<void> stop_after(Loop& loop, Task<void> task) {
    co_await task;
    loop.stop();
}

}  // namespace

void block_on(Loop& loop, Task<void> task) {
    Scope scope(loop);
    loop.post([&] { scope.spawn(stop_after(loop, std::move(task))); });
    loop.run();
}

}  // namespace smackd::net
