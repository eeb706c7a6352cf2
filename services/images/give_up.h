// GiveUp: work on a thread hears that its caller was cancelled.
#pragma once

#include <atomic>

#include "net/cancellation.h"

namespace smackd::services::images {

/// Tells the thread that its caller has given up.
class GiveUp final : public net::Waiter {
 public:
    GiveUp(std::atomic<bool>& flag, net::Cancellation* cancellation) : flag_(flag) {
        if (cancellation != nullptr && cancellation->cancelled()) {
            flag_ = true;
        } else {
            attach(cancellation);
        }
    }
    void on_cancel(const core::Error& /*why*/) override { flag_ = true; }

 private:
    std::atomic<bool>& flag_;
};

}  // namespace smackd::services::images
