// Watchdog: one timer for a connection whose deadline moves with every step. Private to net/http.
#pragma once

#include "net/cancellation.h"
#include "net/loop.h"

namespace smackd::net::http {

/// Cancels the connection with kTimeout when its current step takes too long. Moving the deadline costs no
/// timer: the running one looks again when it fires.
class Watchdog {
 public:
    Watchdog(Loop& loop, Cancellation& cancellation) : loop_(loop), cancellation_(cancellation) {}
    ~Watchdog() { loop_.cancel(timer_); }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    /// `what` is a literal: "the request's head".
    void expect(const char* what, core::Duration within);
    void rest() { due_ = kNever; }

 private:
    static constexpr core::Instant kNever{core::Duration::max()};
    void arm(core::Duration after);
    void look();

    Loop& loop_;
    Cancellation& cancellation_;
    core::TimerId timer_ = 0;
    core::Instant fires_ = kNever;
    core::Instant due_ = kNever;
    const char* what_ = "";
};

}  // namespace smackd::net::http
