// Scope: owns background tasks. Whoever starts work here cancels and joins it with close().
#pragma once

#include <string>
#include <vector>

#include "net/cancellation.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/wait.h"

namespace smackd::net {

class Scope {
 public:
    explicit Scope(Loop& loop) : loop_(loop) {}
    /// close() has returned, or nothing was ever spawned.
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// Runs `task` at once until it first suspends; it goes on in the background. After cancel() the task
    /// still starts, and its first wait ends with kCancelled.
    void spawn(Task<void> task);
    /// Ends every wait of the tasks with kCancelled. Tasks go on until they return.
    void cancel(std::string_view why = "the owner closed");
    /// Cancels and returns when all tasks have ended.
    Task<void> close();
    /// Returns when all tasks have ended, without cancelling them.
    Task<void> join();

    size_t running() const { return running_; }
    bool cancelled() const { return cancellation_.cancelled(); }
    Loop& loop() { return loop_; }

 private:
    struct Detached;
    static Detached run(Task<void> task, Scope& scope);
    void ended();

    Loop& loop_;
    Cancellation cancellation_;
    size_t running_ = 0;
    std::vector<Wait<void>*> joiners_;
};

/// Returns after `duration`, or with the reason of cancellation.
Task<core::Result<void>> sleep(Loop& loop, core::Duration duration);

/// Runs `task`; when it has not ended after `limit` its waits end and the result is kTimeout "`what` took
/// longer than ...". Returns only when the task has returned.
template <class T>
Task<core::Result<T>> with_deadline(Loop& loop, core::Duration limit, std::string what,
                                    Task<core::Result<T>> task);

/// For programs and tests with nothing else to do: runs the loop until `task` has ended.
template <class T>
T block_on(Loop& loop, Task<T> task);

/// A timer that cancels `cancellation` with kTimeout; stops when destroyed.
class DeadlineTimer {
 public:
    DeadlineTimer(Loop& loop, core::Duration limit, std::string what, Cancellation& cancellation);
    ~DeadlineTimer() { loop_.cancel(timer_); }
    DeadlineTimer(const DeadlineTimer&) = delete;
    DeadlineTimer& operator=(const DeadlineTimer&) = delete;

 private:
    Loop& loop_;
    core::TimerId timer_;
};

// ---- templates

template <class T>
Task<core::Result<T>> with_deadline(Loop& loop, core::Duration limit, std::string what,
                                    Task<core::Result<T>> task) {
    Cancellation* outer = co_await current_cancellation();
    Cancellation inner(outer);
    DeadlineTimer timer(loop, limit, std::move(what), inner);
    Under<core::Result<T>> under{std::move(task), &inner};
    co_return co_await under;
}

template <class T>
Task<void> store_result_and_stop(Loop& loop, Task<T> task, std::optional<T>& into) {
    into.emplace(co_await task);
    loop.stop();
}

template <class T>
T block_on(Loop& loop, Task<T> task) {
    std::optional<T> result;
    Scope scope(loop);
    loop.post([&] { scope.spawn(store_result_and_stop(loop, std::move(task), result)); });
    loop.run();
    return std::move(*result);
}
void block_on(Loop& loop, Task<void> task);

}  // namespace smackd::net
