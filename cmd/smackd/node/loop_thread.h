// A loop with the thread that runs it.
#pragma once

#include <future>
#include <string>
#include <thread>

#include "core/callback.h"
#include "net/loop.h"
#include "net/scope.h"

namespace smackd::cmd {

/// The loop runs from start() until stop(); before that, any thread may prepare things on it. Whoever made
/// things on the loop closes them before stop().
class LoopThread {
 public:
    /// `name` is the loop's and the thread's (15 bytes count).
    LoopThread(std::string name, core::Logger logger);
    /// stop() when that was not called.
    ~LoopThread();
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;

    net::Loop& loop() { return loop_; }
    /// Once.
    void start();
    /// Ends the loop and joins the thread. Idempotent.
    void stop();

    /// Runs `work` on the loop and waits for its value. Not from the loop itself.
    template <class T>
    T call(core::Callback<T()> work) {
        std::promise<T> promise;
        loop_.post([&] { promise.set_value(work()); }, "call");
        return promise.get_future().get();
    }
    /// The same for a task.
    template <class T>
    T await(core::Callback<net::Task<T>()> make) {
        std::promise<T> promise;
        net::Scope scope(loop_);
        loop_.post([&] { scope.spawn(settle(make(), promise)); }, "await");
        T value = promise.get_future().get();
        call<bool>([&] { return scope.running() == 0; });  // the task's frame is gone after this turn
        return value;
    }

 private:
    template <class T>
    static net::Task<void> settle(net::Task<T> task, std::promise<T>& promise) {
        promise.set_value(co_await task);
    }

    const std::string name_;
    net::Loop loop_;
    std::thread thread_;
};

}  // namespace smackd::cmd
