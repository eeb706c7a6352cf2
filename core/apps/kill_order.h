// Which tasks of an app go first when some must.
#pragma once

#include <cstdint>
#include <vector>

#include "core/apps/placement.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// Tasks of older configurations first; then those whose going keeps GROUP_BY groups even; then those that
/// have not started (unreachable, staging, starting); then those that are not ready; then by the app's kill
/// selection.
class KillOrder {
 public:
    KillOrder(const std::vector<const wire::Task*>& tasks, const wire::AppDefinition& app,
              const Placement& placement);
    /// The next one, each once; null when there is none left.
    const wire::Task* next();

 private:
    struct Entry {
        const wire::Task* task = nullptr;
        bool current = false;
        std::vector<size_t> groups;  ///< of each GROUP_BY constraint: an index into sizes_
    };
    uint64_t load(const Entry& entry) const;

    std::vector<Entry> entries_;  ///< by all but the groups, the last one first
    std::vector<uint64_t> sizes_;
    bool grouped_ = false;
};

}  // namespace smackd::apps
