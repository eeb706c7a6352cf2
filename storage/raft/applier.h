// Takes committed entries to the state machine, in whole entries and one commit per turn of the loop.
//
// Decoupled from Raft: entries queue here, so a state machine that cannot write (disk full) delays results
// and nothing else. It is tried again by timer; what needs a newer version stops before that entry for good.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "core/logger.h"
#include "storage/fsm.h"
#include "storage/log/record.h"

namespace smackd::storage {

inline constexpr size_t kApplyEntriesPerTurn = 64;
inline constexpr size_t kApplyBytesPerTurn = 4 * 1024 * 1024;
inline constexpr core::milliseconds kApplyRetry{1000};

class ApplierEvents {
 public:
    virtual ~ApplierEvents() = default;
    /// The effects of `entry` are committed. One result per command; empty for what is no command, and for
    /// entries the state held already.
    virtual void applied(const LogEntry& entry, std::vector<core::Bytes> results) = 0;
    /// A turn with commits is over.
    virtual void turn_over() = 0;
    /// The state machine refuses (null: works again). After kUnsupported and kCorrupt nothing is tried again.
    virtual void apply_refused(core::Index index, const core::Error* error) = 0;
};

class Applier {
 public:
    Applier(Fsm& fsm, core::Timers& timers, ApplierEvents& events)
        : fsm_(fsm), timers_(timers), events_(events) {}
    ~Applier();
    Applier(const Applier&) = delete;
    Applier& operator=(const Applier&) = delete;

    void push(const LogEntry& entry);
    /// A snapshot has replaced the state: what is queued at or below `index` is void.
    void restart_behind(core::Index index);
    /// The state is back at `index`: everything queued is void and comes again.
    void replay_behind(core::Index index);
    /// Nothing is applied from here on; the state lacks what the queue builds on.
    void stop(const core::Error& error);
    /// The last index handled, commands or not.
    core::Index position() const { return position_; }
    /// The highest time stamped into an entry up to position().
    int64_t time_ms() const { return time_ms_; }
    void raise_time(int64_t time_ms) { time_ms_ = std::max(time_ms_, time_ms); }
    const std::optional<core::Error>& trouble() const { return trouble_; }
    size_t queued() const { return queue_.size(); }

 private:
    struct Staged {
        std::vector<core::Bytes> results;
        int64_t time_ms = 0;
    };
    void schedule(core::Duration after);
    void turn();
    core::Result<Staged> apply(const LogEntry& entry);
    void refuse(size_t staged, core::Error error);
    void finish(std::vector<Staged> staged);

    Fsm& fsm_;
    core::Timers& timers_;
    ApplierEvents& events_;
    std::deque<LogEntry> queue_;
    core::Index position_;
    int64_t time_ms_ = 0;
    size_t limit_ = kApplyEntriesPerTurn;  ///< entries in the next turn; less after a refusal, to commit what
                                           ///< comes before
    core::TimerId timer_ = 0;
    bool stopped_ = false;
    std::optional<core::Error> trouble_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace smackd::storage
