#include "net/sync.h"

namespace smackd::net {

Task<core::Result<void>> WaitList::wait() {
    Wait<void> wait(loop_);
    auto place = waiting_.insert(waiting_.end(), &wait);
    auto result = co_await wait;
    waiting_.erase(place);
    co_return result;
}

bool WaitList::wake_one() {
    for (Wait<void>* wait : waiting_) {
        if (wait->done()) continue;  // woken or cancelled, and not yet run
        wait->complete({});
        return true;
    }
    return false;
}

void WaitList::wake_all() {
    for (Wait<void>* wait : waiting_) wait->complete({});
}

Task<core::Result<void>> Event::wait() {
    if (set_) co_return core::Result<void>();
    co_return co_await waiters_.wait();
}

Task<core::Result<void>> Semaphore::acquire() {
    if (try_acquire()) co_return core::Result<void>();
    co_return co_await waiters_.wait();  // release() hands its permit over
}

bool Semaphore::try_acquire() {
    if (free_ == 0) return false;
    --free_;
    return true;
}

void Semaphore::release() {
    if (!waiters_.wake_one()) ++free_;
}

}  // namespace smackd::net
