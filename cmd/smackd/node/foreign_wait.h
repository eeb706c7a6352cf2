// Between loops: waiting on one for a callback that another thread runs, and the callback's end of that.
#pragma once

#include <memory>

#include "core/callback.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/wait.h"

namespace smackd::cmd {

/// Calls `start` with a callback that may run on any thread, at most once, also after the awaiter has given
/// up; the result arrives on `loop`, which outlives the callback.
template <class T>
net::Task<core::Result<T>> await_foreign(net::Loop& loop,
                                         core::Callback<void(core::Callback<void(core::Result<T>)>)> start) {
    net::Wait<T> wait(loop);
    // Shared with the callback, which may come when this frame is gone. Only the loop's thread looks inside.
    auto slot = std::make_shared<net::Wait<T>*>(&wait);
    struct Clear {
        net::Wait<T>** slot;
        ~Clear() { *slot = nullptr; }
    } clear{slot.get()};
    start([&loop, slot](core::Result<T> result) {
        loop.post(
            [slot, moved = std::move(result)]() mutable {
                if (*slot != nullptr) (*slot)->complete(std::move(moved));
            },
            "foreign");
    });
    co_return co_await wait;
}

/// Runs `task` and hands its result to `done`; to be spawned on the loop that the task belongs to.
template <class T>
net::Task<void> tell_result(net::Task<core::Result<T>> task, core::Callback<void(core::Result<T>)> done) {
    auto result = co_await std::move(task);
    done(std::move(result));
}

}  // namespace smackd::cmd
