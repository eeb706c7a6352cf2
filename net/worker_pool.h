// WorkerPool: a few threads for work that would stall a loop (TLS handshakes, GSS, password checks, SQL
// reads).
#pragma once

#include <memory>
#include <string>

#include "core/callback.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/wait.h"

namespace smackd::net {

class WorkerPool {
 public:
    /// `queue_max` is how many pieces of work may wait; more are refused with kBusy.
    WorkerPool(std::string name, size_t threads, size_t queue_max);
    /// Finishes what runs, drops what is queued. No run() may be pending.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Runs `work` on a thread and returns its value on `loop`: `Task<Result<int>> r = pool.run<int>(loop,
    /// [...] { return Result<int>(1); })`. kBusy when the queue is full. Waits for the end of `work` even
    /// when cancelled, so `work` may use what the awaiter owns.
    template <class T>
    Task<core::Result<T>> run(Loop& loop, core::Callback<core::Result<T>()> work);

    /// The plain form: false when the queue is full. `work` runs on a thread; any thread may call.
    bool submit(core::Callback<void()> work);

    size_t queued() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

template <class T>
Task<core::Result<T>> WorkerPool::run(Loop& loop, core::Callback<core::Result<T>()> work) {
    UncancellableWait<T> wait(loop);
    bool accepted = submit([&] {
        core::Result<T> result = work();
        loop.post([&wait, moved = std::move(result)]() mutable { wait.complete(std::move(moved)); },
                  "worker");
    });
    if (!accepted) {
        co_return std::unexpected(
            core::Error{core::Errc::kBusy, "the workers' queue is full; try again", 1000});
    }
    co_return co_await wait;
}

}  // namespace smackd::net
