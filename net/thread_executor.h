// ThreadExecutor: one thread beside a loop that does blocking work in order (log writer, snapshot copier).
#pragma once

#include <memory>
#include <string>

#include "core/executor.h"
#include "net/loop.h"

namespace smackd::net {

class ThreadExecutor final : public core::Executor {
 public:
    /// `done` callbacks run on `loop`, which outlives the executor. `name` is the thread's (15 bytes count).
    ThreadExecutor(Loop& loop, std::string name);
    /// Waits for the work that runs now; queued work and undelivered `done`s are dropped.
    ~ThreadExecutor() override;

    void submit(core::Callback<void()> work, core::Callback<void()> done) override;

 private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the thread and with posted `done`s, which may outlive *this
};

}  // namespace smackd::net
