// Task<T>: a lazy coroutine with one owner, the only coroutine type of smackd.
//
// A task starts when it is awaited (or spawned into a Scope) and runs inline until its first real suspension.
// It inherits the Cancellation of its awaiter, so that leaves (reads, timers, queues) end with kCancelled or
// kTimeout when the scope or deadline above them gives up. Rules: parameters by value, or by reference to
// what outlives the task; no capturing lambda as a coroutine; `auto x = co_await f(names);`, never inside a
// condition.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/assert.h"
#include "core/result.h"
#include "net/cancellation.h"

namespace smackd::net {

template <class T = void>
class Task;

/// What every promise of smackd has: who continues after it, and whose cancellation it obeys.
struct PromiseBase {
    std::coroutine_handle<> continuation;
    Cancellation* cancellation = nullptr;

    std::suspend_always initial_suspend() noexcept { return {}; }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }  // smackd does not throw

    struct Final {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            std::coroutine_handle<> next = self.promise().continuation;
            return next ? next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
};

template <class T>
struct TaskPromise : PromiseBase {
    std::optional<T> value;

    Task<T> get_return_object();
    template <class U>
        requires std::convertible_to<U&&, T>
    void return_value(U&& returned) {
        value.emplace(std::forward<U>(returned));
    }
    T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() {}
    void take() {}
};

template <class T>
class [[nodiscard]] Task {
 public:
    using promise_type = TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    /// A task that was begun has ended by now: its owner waited for it.
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    /// The child runs inline and the parent goes on at once when it is already done: a loop of tasks that
    /// never really suspend uses no stack, at any optimisation level.
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> parent) {
        static_assert(std::is_base_of_v<PromiseBase, Promise>, "only a Task awaits a Task");
        handle_.promise().cancellation = parent.promise().cancellation;
        return start(parent);
    }
    T await_resume() { return handle_.promise().take(); }

    /// For Scope and deadlines: runs the task under `cancellation`; true when it has suspended and will
    /// resume `continuation` at its end.
    bool start_under(Cancellation* cancellation, std::coroutine_handle<> continuation) {
        handle_.promise().cancellation = cancellation;
        return start(continuation);
    }

 private:
    bool start(std::coroutine_handle<> continuation) {
        handle_.resume();
        if (handle_.done()) return false;
        handle_.promise().continuation = continuation;
        return true;
    }

    Handle handle_;
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
    return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
    return Task<void>(Task<void>::Handle::from_promise(*this));
}

/// `Cancellation* c = co_await current_cancellation();` - the one this task obeys, or nullptr.
struct CurrentCancellation {
    Cancellation* found = nullptr;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        found = self.promise().cancellation;
        return false;
    }
    Cancellation* await_resume() const noexcept { return found; }
};
inline CurrentCancellation current_cancellation() {
    return {};
}

/// Awaits `task` under another cancellation than the awaiter's.
template <class T>
struct Under {
    Task<T> task;
    Cancellation* cancellation;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) { return task.start_under(cancellation, parent); }
    T await_resume() { return task.await_resume(); }
};

}  // namespace smackd::net

/// TRY for coroutines. `expression` may contain one co_await, as a plain call: `CO_TRY(co_await f(x));`
#define CO_TRY(expression)                                             \
    do {                                                               \
        auto try_result_ = expression;                                 \
        if (!try_result_) [[unlikely]] {                               \
            co_return std::unexpected(std::move(try_result_.error())); \
        }                                                              \
    } while (false)

/// `CO_TRY_ASSIGN(auto value, co_await f(x));` declares or assigns, or co_returns the error.
#define CO_TRY_ASSIGN(target, expression)                                                  \
    auto SMACK_CONCAT(try_result_, __LINE__) = expression;                                 \
    if (!SMACK_CONCAT(try_result_, __LINE__)) [[unlikely]] {                               \
        co_return std::unexpected(std::move(SMACK_CONCAT(try_result_, __LINE__).error())); \
    }                                                                                      \
    target = std::move(*SMACK_CONCAT(try_result_, __LINE__))
