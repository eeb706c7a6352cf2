// Wait<T>: the one leaf every awaitable of net is made of: suspends until complete() or cancellation.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "core/result.h"
#include "net/cancellation.h"
#include "net/loop.h"

namespace smackd::net {

/// Lives in the frame of the coroutine that awaits it. `result = co_await wait;` once. Completing resumes the
/// coroutine in the same turn, after the callback that completed it has ended: a completer may go on using
/// its own objects.
template <class T>
class Wait : public Waiter {
 public:
    explicit Wait(Loop& loop) : loop_(loop) {}

    bool done() const { return result_.has_value(); }
    /// The first completion counts.
    void complete(core::Result<T> result) {
        if (result_) return;
        result_.emplace(std::move(result));
        detach();
        if (suspended_) loop_.resume_soon(suspended_);
    }
    /// Default: ends at once with `why`. Override when the operation must be stopped first.
    void on_cancel(const core::Error& why) override { complete(std::unexpected(why)); }

    bool await_ready() const noexcept { return result_.has_value(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) {
        Cancellation* cancellation = self.promise().cancellation;
        if (cancellation != nullptr && cancellation->cancelled()) {
            on_cancel(cancellation->why());
            if (result_) return false;
        } else {
            attach(cancellation);
        }
        suspended_ = self;
        return true;
    }
    core::Result<T> await_resume() { return std::move(*result_); }

 protected:
    Loop& loop_;

 private:
    std::optional<core::Result<T>> result_;
    std::coroutine_handle<> suspended_;
};

/// A wait that cancellation does not end: somebody else still uses what the awaiter owns.
template <class T>
class UncancellableWait final : public Wait<T> {
 public:
    using Wait<T>::Wait;
    void on_cancel(const core::Error&) override {}
};

}  // namespace smackd::net
