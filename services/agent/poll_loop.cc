#include "services/agent/poll_loop.h"

#include <poll.h>

#include <algorithm>
#include <vector>

#include "net/system_clock.h"

namespace smackd::agent {

core::Instant PollLoop::now() const {
    return net::SystemClock().now();
}

void PollLoop::watch(int fd, short events, core::Callback<void(short)> ready) {
    watches_[fd] = Watch{events, std::make_shared<core::Callback<void(short)>>(std::move(ready))};
}

void PollLoop::want(int fd, short events) {
    const auto found = watches_.find(fd);
    if (found != watches_.end()) found->second.events = events;
}

void PollLoop::forget(int fd) {
    watches_.erase(fd);
}

uint64_t PollLoop::start(core::Duration after, core::Callback<void()> callback) {
    timers_.emplace(next_timer_, Timer{now() + after, std::move(callback)});
    return next_timer_++;
}

void PollLoop::cancel(uint64_t timer) {
    timers_.erase(timer);
}

void PollLoop::run() {
    while (!stopped_) turn(std::chrono::hours(1));
}

int PollLoop::timeout_ms(core::Duration limit) const {
    core::Duration wait = limit;
    for (const auto& [id, timer] : timers_) wait = std::min(wait, timer.due - now());
    return static_cast<int>(std::max<int64_t>(0, std::chrono::ceil<core::milliseconds>(wait).count()));
}

void PollLoop::turn(core::Duration limit) {
    std::vector<pollfd> fds;
    fds.reserve(watches_.size());
    for (const auto& [fd, watch] : watches_) {
        if (watch.events != 0) fds.push_back(pollfd{fd, watch.events, 0});
    }
    const int ready = ::poll(fds.data(), fds.size(), timeout_ms(limit));
    if (ready > 0) {
        for (const pollfd& fd : fds) {
            if (fd.revents == 0) continue;
            const auto found = watches_.find(fd.fd);
            if (found == watches_.end() || found->second.events == 0)
                continue;  // an earlier callback's doing
            const auto callback = found->second.ready;
            (*callback)(fd.revents);
            if (stopped_) return;
        }
    }
    run_timers();
}

void PollLoop::run_timers() {
    std::vector<uint64_t> due;
    for (const auto& [id, timer] : timers_) {
        if (timer.due <= now()) due.push_back(id);
    }
    for (const uint64_t id : due) {
        const auto found = timers_.find(id);
        if (found == timers_.end()) continue;
        core::Callback<void()> callback = std::move(found->second.callback);
        timers_.erase(found);
        callback();
        if (stopped_) return;
    }
}

}  // namespace smackd::agent
