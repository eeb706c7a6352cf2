// ProgressFeed: how far one pull is, told to all who wait for it.
#pragma once

#include <list>
#include <memory>

#include "core/clock.h"
#include "services/images/images.h"

namespace smackd::services::images {

inline constexpr core::Duration kProgressEvery = std::chrono::milliseconds(200);

class ProgressFeed {
 public:
    explicit ProgressFeed(const core::Clock& clock) : clock_(clock) {}
    PullProgress& now() { return progress_; }
    /// After a change of step or layer.
    void tell() {
        told_ = clock_.now();
        for (core::Callback<void(const PullProgress&)>& listener : listeners_) listener(progress_);
    }
    void add_bytes(uint64_t count) {
        progress_.bytes_done += count;
        if (clock_.now() - told_ >= kProgressEvery) tell();
    }

    /// Listens while it lives.
    class Listener {
     public:
        Listener(std::shared_ptr<ProgressFeed> feed, core::Callback<void(const PullProgress&)> callback)
            : feed_(std::move(feed)) {
            if (!callback) return;
            at_ = feed_->listeners_.insert(feed_->listeners_.end(), std::move(callback));
            listens_ = true;
        }
        ~Listener() {
            if (listens_) feed_->listeners_.erase(at_);
        }
        Listener(const Listener&) = delete;
        Listener& operator=(const Listener&) = delete;

     private:
        std::shared_ptr<ProgressFeed> feed_;  // the pull has it too
        std::list<core::Callback<void(const PullProgress&)>>::iterator at_;
        bool listens_ = false;
    };

 private:
    const core::Clock& clock_;
    PullProgress progress_;
    core::Instant told_{};
    std::list<core::Callback<void(const PullProgress&)>> listeners_;
};

}  // namespace smackd::services::images
