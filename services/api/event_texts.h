// The JSON of the newest changes, made once for all watchers: they read the same ones at nearly the same
// time.
#pragma once

#include <array>
#include <string>

#include "core/result.h"
#include "storage/feed/record.h"

namespace smackd::services {

class EventTexts {
 public:
    static constexpr size_t kKept = 256;  ///< texts in memory

    /// kCorrupt when the record holds no wire::FeedChange.
    core::Result<std::string> of(const storage::feed::Record& record);

 private:
    struct Entry {
        core::Revision revision;
        std::string text;
    };
    std::array<Entry, kKept> entries_;  // by revision, round and round
};

}  // namespace smackd::services
