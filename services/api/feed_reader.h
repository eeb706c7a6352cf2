// The change feed on the API loop: waiting for changes, and for a revision.
#pragma once

#include <memory>
#include <vector>

#include "core/ids.h"
#include "core/result.h"
#include "net/loop.h"
#include "net/sync.h"
#include "net/task.h"
#include "storage/feed/hub.h"

namespace smackd::services {

/// One reader's place in the feed, whose wake-ups arrive on `loop`. Loop thread only; dies before the hub.
class FeedReader {
 public:
    /// Errors of Hub::watch.
    static core::Result<std::unique_ptr<FeedReader>> open(net::Loop& loop, storage::feed::Hub& hub,
                                                          core::Revision from, storage::feed::Filter filter);

    /// The next changes, waiting for them when there are none. Errors of Watch::take, and of cancellation,
    /// which loses no change: the next call begins where this one would have.
    net::Task<core::Result<std::vector<storage::feed::RecordPtr>>> next(size_t count);
    /// The same without waiting; empty when there are none.
    core::Result<std::vector<storage::feed::RecordPtr>> take(size_t count) { return watch_->take(count); }
    core::Revision position() const { return watch_->position(); }

 private:
    /// Outlives the reader in callbacks that were posted before it died.
    struct Signal {
        explicit Signal(net::Loop& loop) : changed(loop) {}
        net::Event changed;
    };
    explicit FeedReader(std::shared_ptr<Signal> signal) : signal_(std::move(signal)) {}

    std::shared_ptr<Signal> signal_;
    std::unique_ptr<storage::feed::Watch> watch_;
};

/// Returns once the committed state has reached `revision`; kConflict when its epoch is not the current one,
/// kBusy at the hub's limit, or the reason of cancellation.
net::Task<core::Result<void>> wait_for_revision(net::Loop& loop, storage::feed::Hub& hub,
                                                core::Revision revision);

/// Runs `changed` on the loop after each commit that touched one of `kinds`, and when the state was replaced.
class FeedListener {
 public:
    FeedListener(net::Loop& loop, storage::feed::Hub& hub, std::vector<std::string> kinds,
                 core::Callback<void()> changed);
    ~FeedListener();
    FeedListener(const FeedListener&) = delete;
    FeedListener& operator=(const FeedListener&) = delete;

 private:
    struct Shared;
    static void drain(const std::shared_ptr<Shared>& shared);
    static void subscribe(const std::shared_ptr<Shared>& shared);

    std::shared_ptr<Shared> shared_;  // also held weakly by wake-ups on their way
};

}  // namespace smackd::services
