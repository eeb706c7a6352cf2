#include "net/http/watchdog.h"

#include <format>

namespace smackd::net::http {

void Watchdog::expect(const char* what, core::Duration within) {
    what_ = what;
    due_ = loop_.now() + within;
    if (timer_ != 0 && fires_ <= due_) return;
    loop_.cancel(timer_);
    arm(within);
}

void Watchdog::arm(core::Duration after) {
    fires_ = loop_.now() + after;
    timer_ = loop_.start(after, [this] { look(); }, "http timeout");
}

void Watchdog::look() {
    timer_ = 0;
    fires_ = kNever;
    if (due_ == kNever) return;
    core::Instant now = loop_.now();
    if (now < due_) return arm(due_ - now);
    due_ = kNever;
    cancellation_.cancel(core::Error{core::Errc::kTimeout, std::format("{} took too long", what_), 0});
}

}  // namespace smackd::net::http
