// One event loop: timers, work posted from other threads, and a watch for turns that take too long.
//
// Everything in net belongs to one Loop and is used on its thread only; post() is the way in from
// elsewhere. libuv stays behind this header.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "core/clock.h"
#include "core/logger.h"

struct uv_loop_s;

namespace smackd::net {

/// A turn of a loop that runs longer than this is logged with the name of what ran longest.
inline constexpr core::Duration kLoopStall = std::chrono::milliseconds(100);

class Loop final : public core::Timers {
 public:
    /// `name` stands in stall warnings ("api", "consensus").
    explicit Loop(std::string name, core::Logger logger = {});
    /// Every handle made on the loop is closed by now; anything else is a bug.
    ~Loop() override;
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs on the calling thread until stop(); may be called again afterwards.
    void run();
    /// Ends run() after the current turn. Any thread.
    void stop();
    /// Runs `callback` on the loop's thread in a later turn, in the order of posting. Any thread. What is
    /// still queued when the loop dies is dropped. `label` names it in stall warnings and must be a literal.
    void post(core::Callback<void()> callback, const char* label = "post");
    /// True on the thread that runs the loop, and everywhere while it does not run.
    bool on_thread() const;

    /// Loop thread only, as is cancel(). Resolution 1 ms, never early.
    core::TimerId start(core::Duration after, core::Callback<void()> callback) override;
    core::TimerId start(core::Duration after, core::Callback<void()> callback, const char* label);
    void cancel(core::TimerId id) override;

    /// Monotonic time as of the start of this turn (cheap; SystemClock has the exact one).
    core::Instant now() const;
    const std::string& name() const;
    /// Turns that took longer than kLoopStall so far.
    uint64_t stalls() const;

    /// For net's own handles.
    uv_loop_s* raw();
    /// Resumes `waiter` in this turn, after the callback that runs now; for awaitables.
    void resume_soon(std::coroutine_handle<> waiter);

    /// Names what runs, for the stall watch; made at the start of each libuv callback of net. Coroutines made
    /// ready by the callback run when the outermost one ends.
    class Section {
     public:
        Section(Loop& loop, const char* label);
        ~Section();
        Section(const Section&) = delete;
        Section& operator=(const Section&) = delete;

     private:
        Loop& loop_;
        const char* label_;
        uint64_t began_ns_;
    };

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::net
