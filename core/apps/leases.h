// Leases (Gray and Cheriton, 1989): what must not run twice does not, when its node is cut off.
//
// A node asks a server now and then which of its tasks are still its own, and the answer is of a state that
// has everything acknowledged before the question. A task's lease is over kLease after the question was
// asked, by the node's clock; its shim then ends it, with or without a daemon. The leader has
// TASK_UNREACHABLE committed before it thinks of a substitute: no question after that is answered with yes.
// It starts the substitute when it has seen that for kLeaseOver, by its own monotonic clock. Neither side's
// wall clock counts.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// From the question on, at the node.
inline constexpr core::Duration kLease = core::seconds(8);
/// How often a node asks.
inline constexpr core::Duration kLeaseRenewal = core::seconds(2);
/// At the leader: kLease, what the task has to end in, and more for clocks that run at different rates.
inline constexpr core::Duration kLeaseOver = core::seconds(15);

/// The leader's watch, of one term.
class LeaseWatch {
 public:
    /// Takes in all tasks of the state as it is `now`; ids of those whose lease is over for certain.
    std::set<std::string> over(const std::vector<const wire::Task*>& tasks, core::Instant now);
    /// How long from `now` until the next lease is over; nullopt: none is waited for.
    std::optional<core::Duration> next(core::Instant now) const;

 private:
    struct Seen {
        int64_t unreachable_ms = 0;  // of the status, which tells one absence from another
        core::Instant since;
    };
    std::map<std::string, Seen> seen_;
};

}  // namespace smackd::apps
