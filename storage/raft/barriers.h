// Reads that wait for their linearization point: those of one turn share a barrier entry, later ones wait for
// the next.
#pragma once

#include <optional>
#include <vector>

#include "core/callback.h"
#include "core/ids.h"
#include "core/result.h"
#include "storage/log/record.h"

namespace smackd::storage {

class Barriers {
 public:
    using Done = core::Callback<void(core::Result<core::Index>)>;

    void wait(Done done) { waiting_.push_back(std::move(done)); }
    /// Somebody waits and no entry is under way.
    bool may_send() const { return !sent_ && !waiting_.empty(); }
    /// All that wait ride on this entry.
    void sent(core::Index index, core::Term term);
    /// An entry was applied; tells those who waited for it, or `lost` when another has taken its place.
    void applied(const LogEntry& entry, const core::Error& lost);
    void fail_all(const core::Error& error);

 private:
    struct Sent {
        core::Index index;
        core::Term term;
        std::vector<Done> riders;
    };
    std::optional<Sent> sent_;
    std::vector<Done> waiting_;
};

}  // namespace smackd::storage
