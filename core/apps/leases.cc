#include "core/apps/leases.h"

#include <algorithm>

namespace smackd::apps {

std::set<std::string> LeaseWatch::over(const std::vector<const wire::Task*>& tasks, core::Instant now) {
    std::map<std::string, Seen> seen;
    std::set<std::string> over;
    for (const wire::Task* task : tasks) {
        if (task->lease_generation() == 0 || task->status().state() != wire::TASK_UNREACHABLE) continue;
        const auto before = seen_.find(task->id());
        const bool same =
            before != seen_.end() && before->second.unreachable_ms == task->status().unreachable_ms();
        const Seen one = same ? before->second : Seen{task->status().unreachable_ms(), now};
        if (now - one.since >= kLeaseOver) over.insert(task->id());
        seen[task->id()] = one;
    }
    seen_ = std::move(seen);
    return over;
}

std::optional<core::Duration> LeaseWatch::next(core::Instant now) const {
    std::optional<core::Duration> least;
    for (const auto& [id, one] : seen_) {
        const core::Duration left = one.since + kLeaseOver - now;
        if (left > core::Duration(0) && (!least || left < *least)) least = left;
    }
    return least;
}

}  // namespace smackd::apps
