// Commands on their way: waiting to be grouped into an entry, or in an entry that is not applied yet.
#pragma once

#include <deque>
#include <format>
#include <map>
#include <vector>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/ids.h"
#include "core/result.h"
#include "storage/replica.h"

namespace smackd::storage {

inline constexpr size_t kGroupsInFlightMax = 4;

class Proposals {
 public:
    using Done = core::Callback<void(core::Result<core::Bytes>)>;

    /// kBusy with a hint when a limit is reached.
    core::Result<void> admit(size_t bytes) const;
    void wait(core::Bytes command, Done done);
    bool waiting() const { return !waiting_.empty(); }
    bool may_send() const { return !waiting_.empty() && in_flight_.size() < kGroupsInFlightMax; }

    /// The next entry: as many waiting commands as fit into kEntryBytesMax, each stamped with `time_ms`.
    core::Bytes next_group(int64_t time_ms);
    /// Commands in the group made last.
    size_t made() const { return made_.size(); }
    /// The group made last stands at `index` of `term` in the log.
    void sent(core::Index index, core::Term term);
    /// The group made last was not taken: it waits again.
    void unsent();

    /// Entry `index` of `term` is applied: tells each proposer its result. One whose entry was replaced hears
    /// kUnavailable: it was not done.
    void applied(core::Index index, core::Term term, std::vector<core::Bytes> results);
    /// No longer leader: what waits ends with `error`, what is in flight above `commit` with kUnknownOutcome.
    void leadership_lost(core::Index commit, const core::Error& error);
    /// The state machine cannot write: what waits ends with `error`, what is in flight with kUnknownOutcome
    /// and the same reason, since it is in the log and takes effect when the trouble is over.
    void stalled(const core::Error& error);
    /// A snapshot has passed them by.
    void overtaken(core::Index index);
    void fail_all(const core::Error& error);

 private:
    struct Command {
        core::Bytes bytes;
        Done done;
    };
    struct Group {
        core::Term term;
        std::vector<Command> commands;
    };
    void end_above(core::Index index, const core::Error& not_done, const core::Error& unknown);
    void release(const std::vector<Command>& commands);
    void end(std::vector<Command> commands, const core::Error& error);

    std::deque<Command> waiting_;
    std::vector<Command> made_;            ///< between next_group() and sent()
    std::map<uint64_t, Group> in_flight_;  ///< by index
    size_t count_ = 0;
    size_t bytes_ = 0;
};

/// Appends the field time_ms to a serialized wire::Command; of a field that occurs twice the last one counts.
void stamp_time(core::Bytes& command, int64_t time_ms);

}  // namespace smackd::storage
