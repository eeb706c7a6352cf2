// Where blocking work runs. In production a thread beside a loop; in the simulator a virtual delay.
#pragma once

#include "core/callback.h"

namespace smackd::core {

class Executor {
 public:
    virtual ~Executor() = default;
    /// Runs `work` elsewhere, then `done` on the owner's loop. One executor runs its work in order, one at a
    /// time. Work submitted and not begun when the owner dies is dropped (a crash in the simulator).
    virtual void submit(Callback<void()> work, Callback<void()> done) = 0;
};

}  // namespace smackd::core
