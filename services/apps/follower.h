// Keeps an AppsModel in line with the committed state.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "services/api/feed_reader.h"
#include "services/apps/model.h"

namespace smackd::services {

/// A row that has changed, by the feed's kind and key.
using ChangedRow = std::pair<std::string, std::string>;

/// Loop thread only. Everything given outlives it.
class AppsFollower {
 public:
    AppsFollower(net::Loop& loop, net::WorkerPool& workers, storage::feed::Hub& hub,
                 storage::state::ReaderOptions reader)
        : loop_(loop), workers_(workers), hub_(hub), reader_options_(std::move(reader)) {}

    /// Reads the whole model and follows from there.
    net::Task<core::Result<void>> load();
    /// Waits at most `limit` for changes and takes all there are; empty when there were none. When the place
    /// in the feed is gone (the state was replaced, or changes came too fast), loads anew and says so by
    /// `reloaded`.
    net::Task<core::Result<std::vector<ChangedRow>>> next(core::Duration limit, bool& reloaded);
    const AppsModel& model() const { return model_; }

 private:
    net::Loop& loop_;
    net::WorkerPool& workers_;
    storage::feed::Hub& hub_;
    storage::state::ReaderOptions reader_options_;
    AppsModel model_;
    std::unique_ptr<FeedReader> feed_;
};

}  // namespace smackd::services
