// The change feed: who watches what, from where, and when to wake them.
//
// apply() publishes each commit here; watchers hold a cursor into one shared ring of encoded changes, so that
// many of them cost no copies. What the ring has lost is read from state.db. A cursor is a (epoch, revision)
// token: an older epoch, or a revision below what the feed still holds, is refused with kConflict, and the
// watcher lists anew.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/callback.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/result.h"
#include "storage/feed/record.h"

namespace smackd::storage::feed {

/// Which changes a watch is interested in. All conditions hold together; empty ones hold always.
struct Filter {
    std::vector<std::string> kinds;
    std::string key_prefix;
    /// Asked last, on the watcher's thread; may look at anything of that thread (policy, say).
    std::function<bool(const Record&)> accept = {};

    bool names(const Record& record) const;  ///< kinds and key_prefix alone
};

struct HubLimits {
    size_t ring_records = 16'384;  ///< changes kept in memory
    size_t ring_bytes = 16 * 1024 * 1024;
    size_t watchers = 4'096;
    size_t waiters = 16'384;
    uint64_t lag_max = 65'536;  ///< a watcher that had caught up and is now this far behind is cut
};

/// Reads up to `count` changes above `after` from state.db, in order. Called under a lock, by watchers'
/// threads.
using History = std::function<core::Result<std::vector<RecordPtr>>(uint64_t after, size_t count)>;

class Hub;

/// One watcher's place in the feed. Belongs to one thread; dies before its hub.
class Watch {
 public:
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    /// After this the notification does not run any more, nor is it running.
    ~Watch();

    /// The next changes that pass the filter, at most `count` (above 0) of them; empty when there are none
    /// now, and then the notification will come. An error ends the watch: kConflict "compacted" or "epoch"
    /// (list anew and watch from there), kBusy "too slow". Reads from memory, or from state.db while the
    /// watcher is behind the ring.
    core::Result<std::vector<RecordPtr>> take(size_t count);

    /// Everything up to here has been taken or was filtered out; the token to resume from.
    core::Revision position() const;

 private:
    friend class Hub;
    Watch(Hub& hub, core::Revision from, Filter filter, core::Callback<void()> notify);

    Hub& hub_;
    Filter filter_;
    core::Callback<void()> notify_;
    // Guarded by the hub's mutex:
    core::Revision cursor_;
    bool armed_ = false;      // nothing left to take: wake at the next change
    bool caught_up_ = false;  // was at the head once; from then on lag is counted
    bool repeated_ = false;   // for a planted bug
    std::string cut_;         // why the watch is over
    core::Errc cut_code_ = core::Errc::kConflict;
};

/// Shared by all threads.
class Hub {
 public:
    Hub(HubLimits limits, core::MetricRegistry& metrics);
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;
    ~Hub();

    /// How to read what the ring has lost; set once, before the first watch. Without it such a watch is
    /// refused.
    void set_history(History history);

    /// Watches changes above `from`. `notify` runs on the publishing thread, under the hub's lock: it must
    /// only post to the watcher's loop. It runs once after each take() that came back empty. kConflict: see
    /// above; kBusy: limit.
    core::Result<std::unique_ptr<Watch>> watch(core::Revision from, Filter filter,
                                               core::Callback<void()> notify);

    /// The committed revision. Lock-free enough for every request.
    core::Revision head() const;
    /// The oldest revision a watch can start from.
    core::Revision floor() const;

    using WaitId = uint64_t;
    /// Runs `done` once the state has reached `minimum` (at once when it has), or with kConflict when the
    /// epoch is not the current one. Same rules as for `notify`. Deadlines are the caller's: cancel() then.
    /// kBusy: limit.
    core::Result<WaitId> wait(core::Revision minimum,
                              core::Callback<void(core::Result<core::Revision>)> done);
    /// After this `done` does not run any more, nor is it running. Unknown and finished ids are ignored.
    void cancel(WaitId id);

    // ---- for the state machine, on its thread ----
    /// New changes after a commit, and what the feed holds now.
    void publish(std::vector<RecordPtr> changes, core::Revision head, uint64_t floor);
    /// The state was opened or replaced: the ring starts anew, watches go on from state.db if it has their
    /// place.
    void reset(core::Revision head, uint64_t floor);

 private:
    friend class Watch;
    struct Waiter {
        WaitId id;
        core::Callback<void(core::Result<core::Revision>)> done;
    };
    core::Result<void> check_place(core::Revision from) const;
    void set_head(core::Revision head, uint64_t floor);
    void push(RecordPtr record);
    void start_anew(core::Revision head);
    void wake(const std::vector<RecordPtr>& changes, bool all);
    void finish_waiters();
    core::Result<std::vector<RecordPtr>> read(Watch& watch, size_t count);
    std::vector<RecordPtr> read_ring(uint64_t after, size_t count) const;
    void remove(Watch& watch);

    const HubLimits limits_;
    mutable std::mutex mutex_;
    std::atomic<uint64_t> epoch_{0};  // both written under the mutex;
    std::atomic<uint64_t> revision_{
        0};  // epoch first: a reader of both may see an older pair, never a mixed newer one
    uint64_t floor_ = 0;
    std::deque<RecordPtr> ring_;  // contiguous revisions, the last one is the head's when not empty
    size_t ring_bytes_ = 0;
    std::vector<Watch*> watches_;
    std::multimap<uint64_t, Waiter> waiters_;  // by revision, of the current epoch
    WaitId last_wait_ = 0;

    std::mutex history_mutex_;
    History history_;

    core::Gauge& watchers_gauge_;
    core::Counter& cut_total_;
    core::Counter& history_reads_total_;
};

}  // namespace smackd::storage::feed
