#include "storage/raft/applier.h"

#include "core/assert.h"
#include "core/planted.h"
#include "core/wire/raft.pb.h"

namespace smackd::storage {

Applier::~Applier() {
    *alive_ = false;
    timers_.cancel(timer_);
}

void Applier::push(const LogEntry& entry) {
    queue_.push_back(entry);
    if (timer_ == 0 && !stopped_) schedule(core::Duration{0});
}

void Applier::restart_behind(core::Index index) {
    while (!queue_.empty() && queue_.front().index <= index) queue_.pop_front();
    position_ = std::max(position_, index);
    limit_ = kApplyEntriesPerTurn;
    stopped_ = false;
    timers_.cancel(timer_);
    timer_ = 0;
    if (trouble_) {
        trouble_.reset();
        events_.apply_refused(index, nullptr);
    }
    if (!queue_.empty()) schedule(core::Duration{0});
}

void Applier::replay_behind(core::Index index) {
    queue_.clear();
    position_ = index;
    restart_behind(index);
}

void Applier::stop(const core::Error& error) {
    trouble_ = error;
    stopped_ = true;
    timers_.cancel(timer_);
    timer_ = 0;
}

void Applier::schedule(core::Duration after) {
    timer_ = timers_.start(after, [this] {
        timer_ = 0;
        turn();
    });
}

void Applier::turn() {
    std::vector<Staged> staged;
    size_t bytes = 0;
    bool changed = false;
    while (staged.size() < queue_.size() && staged.size() < limit_ && bytes < kApplyBytesPerTurn) {
        const LogEntry& entry = queue_[staged.size()];
        bytes += record_bytes(entry);
        changed = changed || (entry.type == EntryType::kCommand && entry.index > fsm_.applied());
        auto done = apply(entry);
        if (!done) return refuse(staged.size(), std::move(done.error()));
        staged.push_back(std::move(*done));
    }
    if (changed) {
        if (auto committed = fsm_.commit(); !committed) return refuse(0, std::move(committed.error()));
    }
    finish(std::move(staged));
}

core::Result<Applier::Staged> Applier::apply(const LogEntry& entry) {
    Staged staged;
    if (entry.type != EntryType::kCommand) return staged;
    wire::CommandGroup group;
    if (!group.ParseFromArray(entry.payload->data(), static_cast<int>(entry.payload->size()))) {
        return core::fail(core::Errc::kUnsupported, "entry {} has a form this version cannot read",
                          entry.index.value);
    }
    staged.time_ms = group.time_ms();
    // After a restart the log may be replayed from before what the state holds.
    if (entry.index <= fsm_.applied() && !SMACK_BUG("apply_twice")) return staged;
    const std::vector<core::BytesView> commands(group.commands().begin(), group.commands().end());
    TRY_ASSIGN(staged.results, fsm_.apply(entry.index, entry.term, commands));
    SMACK_ASSERT(staged.results.size() == commands.size());
    return staged;
}

/// Nothing since the last commit was kept: first what comes before the refused entry, then that one again.
void Applier::refuse(size_t staged, core::Error error) {
    if (staged > 0) {
        limit_ = staged;
        return schedule(core::Duration{0});
    }
    trouble_ = std::move(error);
    stopped_ = trouble_->code == core::Errc::kUnsupported || trouble_->code == core::Errc::kCorrupt;
    // One entry at a time from here: an error of the commit names no entry.
    limit_ = 1;
    if (!stopped_) schedule(kApplyRetry);
    events_.apply_refused(queue_.front().index, &*trouble_);
}

void Applier::finish(std::vector<Staged> staged) {
    limit_ = kApplyEntriesPerTurn;
    if (trouble_) {
        trouble_.reset();
        events_.apply_refused(queue_.front().index, nullptr);
    }
    const std::shared_ptr<bool> alive = alive_;
    for (Staged& done : staged) {
        const LogEntry entry = std::move(queue_.front());
        queue_.pop_front();
        position_ = entry.index;
        raise_time(done.time_ms);
        events_.applied(entry, std::move(done.results));
        if (!*alive) return;
    }
    if (!queue_.empty() && timer_ == 0) schedule(core::Duration{0});
    events_.turn_over();
}

}  // namespace smackd::storage
