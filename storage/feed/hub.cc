#include "storage/feed/hub.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"
#include "core/planted.h"

namespace smackd::storage::feed {

using core::Errc;
using core::Revision;

namespace {

/// More than asked may be filtered away; so many records are looked at in one take().
constexpr size_t kScanFactor = 8;
constexpr size_t kScanMin = 256;

}  // namespace

bool Filter::names(const Record& record) const {
    if (!kinds.empty() && !std::ranges::contains(kinds, record.kind)) return false;
    return record.key.starts_with(key_prefix);
}

// ---- watch ----

Watch::Watch(Hub& hub, Revision from, Filter filter, core::Callback<void()> notify)
    : hub_(hub), filter_(std::move(filter)), notify_(std::move(notify)), cursor_(from) {}

Watch::~Watch() {
    hub_.remove(*this);
}

Revision Watch::position() const {
    const std::scoped_lock lock(hub_.mutex_);
    return cursor_;
}

core::Result<std::vector<RecordPtr>> Watch::take(size_t count) {
    SMACK_ASSERT(count > 0);
    std::vector<RecordPtr> passed;
    const size_t scan = std::max(kScanMin, count * kScanFactor);
    // Ends at the head or with something in hand; each round moves the cursor.
    while (passed.empty()) {
        TRY_ASSIGN(auto records, hub_.read(*this, scan));
        if (records.empty()) return passed;
        Revision last;
        for (RecordPtr& record : records) {
            if (passed.size() == count) break;
            last = record->revision;
            if (!filter_.names(*record) || (filter_.accept && !filter_.accept(*record))) continue;
            passed.push_back(std::move(record));
        }
        const std::scoped_lock lock(hub_.mutex_);
        cursor_ = last;
    }
    if (SMACK_BUG("feed_repeats_change") && cursor_.number % 5 == 0 && !std::exchange(repeated_, true)) {
        const std::scoped_lock lock(hub_.mutex_);
        --cursor_.number;
    }
    return passed;
}

// ---- hub ----

Hub::Hub(HubLimits limits, core::MetricRegistry& metrics)
    : limits_(limits),
      watchers_gauge_(metrics.gauge("smackd_feed_watchers", "Open watches of the change feed")),
      cut_total_(
          metrics.counter("smackd_feed_cut_total", "Watches ended because they were too slow or compacted")),
      history_reads_total_(
          metrics.counter("smackd_feed_history_reads_total", "Reads of changes from state.db")) {}

Hub::~Hub() {
    SMACK_ASSERT(watches_.empty());
}

void Hub::set_history(History history) {
    const std::scoped_lock lock(history_mutex_);
    history_ = std::move(history);
}

Revision Hub::head() const {
    // The revision is written after its epoch; read in the opposite order, a pair is never ahead of the
    // state.
    const uint64_t number = revision_.load(std::memory_order_acquire);
    return {epoch_.load(std::memory_order_acquire), number};
}

Revision Hub::floor() const {
    const std::scoped_lock lock(mutex_);
    return {epoch_.load(), floor_};
}

core::Result<void> Hub::check_place(Revision from) const {
    const Revision now{epoch_.load(), revision_.load()};
    if (from.epoch != now.epoch) {
        return core::fail(Errc::kConflict, "revision {} is of epoch {}, the state is in epoch {}: list again",
                          from.to_string(), from.epoch, now.epoch);
    }
    if (from.number < floor_) {
        return core::fail(Errc::kConflict, "compacted: the feed begins after revision {}.{}: list again",
                          now.epoch, floor_);
    }
    if (from.number > now.number) {
        return core::fail(Errc::kConflict, "revision {} is not reached yet, the state is at {}",
                          from.to_string(), now.to_string());
    }
    return {};
}

core::Result<std::unique_ptr<Watch>> Hub::watch(Revision from, Filter filter, core::Callback<void()> notify) {
    const std::scoped_lock lock(mutex_);
    if (watches_.size() >= limits_.watchers) {
        return core::fail(Errc::kBusy, "{} watches are open, the limit is reached", watches_.size());
    }
    TRY(check_place(from));
    std::unique_ptr<Watch> made(new Watch(*this, from, std::move(filter), std::move(notify)));
    watches_.push_back(made.get());
    watchers_gauge_.set(static_cast<int64_t>(watches_.size()));
    return made;
}

void Hub::remove(Watch& watch) {
    const std::scoped_lock lock(mutex_);
    std::erase(watches_, &watch);
    watchers_gauge_.set(static_cast<int64_t>(watches_.size()));
}

std::vector<RecordPtr> Hub::read_ring(uint64_t after, size_t count) const {
    std::vector<RecordPtr> records;
    if (ring_.empty()) return records;
    const bool lost = after + 1 < ring_.front()->revision.number;
    if (lost && !SMACK_BUG("feed_jumps_to_ring")) return records;
    const size_t first = lost ? 0 : after + 1 - ring_.front()->revision.number;
    for (size_t i = first; i < ring_.size() && records.size() < count; ++i) records.push_back(ring_[i]);
    return records;
}

core::Result<std::vector<RecordPtr>> Hub::read(Watch& watch, size_t count) {
    Revision from;
    {
        const std::scoped_lock lock(mutex_);
        if (watch.cut_.empty()) {
            if (auto place = check_place(watch.cursor_); !place) {
                watch.cut_ = place.error().message;
                cut_total_.add();
            }
        }
        if (!watch.cut_.empty()) return core::fail(watch.cut_code_, "{}", watch.cut_);
        from = watch.cursor_;
        if (from.number == revision_.load()) {
            watch.armed_ = watch.caught_up_ = true;
            return std::vector<RecordPtr>{};
        }
        if (auto records = read_ring(from.number, count); !records.empty()) return records;
    }
    const std::scoped_lock lock(history_mutex_);
    if (!history_)
        return core::fail(Errc::kConflict, "compacted: the changes after {} are not in memory",
                          from.to_string());
    history_reads_total_.add();
    TRY_ASSIGN(auto records, history_(from.number, count));
    // The feed moves on while we read: what was there may be compacted, and a gap must not pass for silence.
    if (records.empty() || records.front()->revision != Revision{from.epoch, from.number + 1}) {
        return core::fail(Errc::kConflict, "compacted: the changes after {} are gone: list again",
                          from.to_string());
    }
    return records;
}

void Hub::push(RecordPtr record) {
    ring_bytes_ += record->encoded.size();
    ring_.push_back(std::move(record));
    while (ring_.size() > limits_.ring_records || (ring_bytes_ > limits_.ring_bytes && ring_.size() > 1)) {
        ring_bytes_ -= ring_.front()->encoded.size();
        ring_.pop_front();
    }
}

void Hub::set_head(Revision head, uint64_t floor) {
    epoch_.store(head.epoch, std::memory_order_release);
    revision_.store(head.number, std::memory_order_release);
    floor_ = floor;
}

void Hub::wake(const std::vector<RecordPtr>& changes, bool all) {
    const Revision now{epoch_.load(), revision_.load()};
    for (Watch* watch : watches_) {
        const bool lags = watch->caught_up_ && now.number > watch->cursor_.number + limits_.lag_max;
        if (lags && watch->cut_.empty()) {
            watch->cut_ =
                std::string("too slow: more than ") + std::to_string(limits_.lag_max) + " changes behind";
            watch->cut_code_ = Errc::kBusy;
            cut_total_.add();
        }
        if (!watch->armed_) continue;
        const auto named = [watch](const RecordPtr& record) { return watch->filter_.names(*record); };
        const bool same_epoch = watch->cursor_.epoch == now.epoch;
        if (!all && same_epoch && std::ranges::none_of(changes, named)) {
            watch->cursor_ = now;  // it was at the head before, and nothing since then is for it
            continue;
        }
        watch->armed_ = false;
        if (watch->notify_) watch->notify_();
    }
}

void Hub::start_anew(Revision head) {
    ring_.clear();
    ring_bytes_ = 0;
    if (head.epoch == epoch_.load()) return;
    // Nobody will ever see the revision of an older epoch that these wait for.
    for (auto& [number, waiter] : std::exchange(waiters_, {})) {
        waiter.done(core::fail(Errc::kConflict, "the state went to epoch {} meanwhile", head.epoch));
    }
}

void Hub::publish(std::vector<RecordPtr> changes, Revision head, uint64_t floor) {
    const std::scoped_lock lock(mutex_);
    if (changes.empty()) {
        floor_ = floor;
        return;
    }
    const bool new_epoch = head.epoch != epoch_.load();
    if (new_epoch) start_anew(head);
    for (const RecordPtr& record : changes) {
        if (record->revision.epoch == head.epoch) push(record);
    }
    set_head(head, floor);
    wake(changes, new_epoch);
    finish_waiters();
}

void Hub::reset(Revision head, uint64_t floor) {
    const std::scoped_lock lock(mutex_);
    start_anew(head);
    set_head(head, floor);
    wake({}, true);
    finish_waiters();
}

// ---- waiting for a revision ----

core::Result<Hub::WaitId> Hub::wait(Revision minimum, core::Callback<void(core::Result<Revision>)> done) {
    const std::scoped_lock lock(mutex_);
    const Revision now{epoch_.load(), revision_.load()};
    if (minimum.epoch != now.epoch) {
        return core::fail(Errc::kConflict, "revision {} is of epoch {}, the state is in epoch {}",
                          minimum.to_string(), minimum.epoch, now.epoch);
    }
    if (waiters_.size() >= limits_.waiters) {
        return core::fail(Errc::kBusy, "{} requests wait for a revision, the limit is reached",
                          waiters_.size());
    }
    const WaitId id = ++last_wait_;
    if (minimum.number <= now.number) {
        done(now);
    } else {
        waiters_.emplace(minimum.number, Waiter{id, std::move(done)});
    }
    return id;
}

void Hub::cancel(WaitId id) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(waiters_, [id](const auto& entry) { return entry.second.id == id; });
}

void Hub::finish_waiters() {
    const Revision now{epoch_.load(), revision_.load()};
    while (!waiters_.empty() && waiters_.begin()->first <= now.number) {
        auto done = std::move(waiters_.begin()->second.done);
        waiters_.erase(waiters_.begin());
        done(now);
    }
}

}  // namespace smackd::storage::feed
