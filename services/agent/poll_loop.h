// PollLoop: poll(2), callbacks and timers for the small processes (shim, launcher), which must stay small and
// copyable by fork. The daemon's loops are net::Loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/callback.h"
#include "core/clock.h"

namespace smackd::agent {

class PollLoop {
 public:
    /// `events` as poll() has them; `ready` gets what poll() returned. One watch a descriptor; setting it
    /// again replaces.
    void watch(int fd, short events, core::Callback<void(short)> ready);
    /// Changes the events of a watch; 0 keeps it but sleeps (errors and hang-ups are not told either).
    void want(int fd, short events);
    void forget(int fd);

    /// Runs `callback` once; the id is never 0.
    uint64_t start(core::Duration after, core::Callback<void()> callback);
    void cancel(uint64_t timer);

    /// Until stop().
    void run();
    void stop() { stopped_ = true; }
    /// One turn, waiting `limit` at most.
    void turn(core::Duration limit);

    core::Instant now() const;

 private:
    struct Watch {
        short events = 0;
        std::shared_ptr<core::Callback<void(short)>> ready;  // held while it runs, should it forget itself
    };
    struct Timer {
        core::Instant due;
        core::Callback<void()> callback;
    };
    int timeout_ms(core::Duration limit) const;
    void run_timers();

    std::map<int, Watch> watches_;
    std::map<uint64_t, Timer> timers_;
    uint64_t next_timer_ = 1;
    bool stopped_ = false;
};

}  // namespace smackd::agent
