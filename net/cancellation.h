// Cancellation: who has given up, and why. One per Scope and per deadline; tasks inherit it from their
// awaiter.
#pragma once

#include <coroutine>
#include <optional>

#include "core/assert.h"
#include "core/result.h"

namespace smackd::net {

class Cancellation;

/// A suspended leaf (read, timer, queue) that wants to hear of cancellation. Unlinks itself when destroyed.
class Waiter {
 public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() { detach(); }

    /// Called once, inside Cancellation::cancel, already detached. Must arrange that the leaf ends soon.
    virtual void on_cancel(const core::Error& why) = 0;

    void attach(Cancellation* to);
    void detach();

 private:
    friend class Cancellation;
    Cancellation* owner_ = nullptr;
    Waiter* next_ = nullptr;
    Waiter* previous_ = nullptr;
};

/// A node in the tree of cancellations: cancelling one cancels those below it. Loop thread only.
class Cancellation final : private Waiter {
 public:
    explicit Cancellation(Cancellation* parent = nullptr);
    /// Nothing waits on it any more.
    ~Cancellation() override;

    bool cancelled() const { return why_.has_value(); }
    /// kCancelled or kTimeout with its sentence; only when cancelled().
    const core::Error& why() const { return *why_; }
    /// Wakes all that wait here and below; the second call does nothing.
    void cancel(core::Error why);

 private:
    friend class Waiter;
    void on_cancel(const core::Error& why) override { cancel(why); }

    Waiter* first_ = nullptr;
    std::optional<core::Error> why_;
};

}  // namespace smackd::net
