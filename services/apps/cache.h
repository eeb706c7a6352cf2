// The model for whoever asks now and then: brought up to date at each question.
#pragma once

#include "net/sync.h"
#include "services/apps/follower.h"

namespace smackd::services {

/// Loop thread only. Everything given outlives it.
class AppsCache {
 public:
    AppsCache(net::Loop& loop, net::WorkerPool& workers, storage::feed::Hub& hub,
              storage::state::ReaderOptions reader)
        : follower_(loop, workers, hub, std::move(reader)), idle_(loop) {}

    /// The model with everything that is committed here. Good until the caller suspends.
    net::Task<core::Result<const AppsModel*>> current();

 private:
    AppsFollower follower_;
    net::Event idle_;
    bool busy_ = false;
};

}  // namespace smackd::services
