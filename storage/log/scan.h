// Reads the bytes of all segments and says what the log holds, what was torn off, and what is damaged.
//
// Pure: the caller has read the files and acts on the answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/log/record.h"

namespace smackd::storage {

struct SegmentImage {
    uint64_t number = 0;  ///< from the file's name; images come in ascending order
    core::Bytes bytes;    ///< the whole file; what is missing at its end counts as blank
};

/// Records that may have been acknowledged and cannot be read.
struct LogDamage {
    core::Index first;  ///< the first index that is lost
    core::Index last;   ///< the last one known to have been there; 0 when it cannot be known
    std::string what;   ///< file, offset and reason

    /// "entries 17 to 20" or "entries from 17 on".
    std::string range() const;
};

struct SegmentScan {
    uint64_t number = 0;
    uint64_t end = 0;       ///< offset behind the last valid batch; bytes from here on must become zeros
    uint64_t used_end = 0;  ///< offset behind the last sector that is not blank
    core::Index max_index;  ///< highest index of its records, superseded ones included; 0 when it has none
    bool holds_batch = false;
};

struct LogScan {
    core::Index first;              ///< index of entries[0], or of the next append when there is none
    std::vector<LogEntry> entries;  ///< contiguous; what later records supersede is gone
    uint64_t next_batch = 1;
    uint32_t chain = 0;
    std::vector<SegmentScan> segments;  ///< up to and including the one where valid data ends
    bool torn = false;                  ///< an unfinished write was found at the end: never acknowledged
    std::optional<LogDamage> damage;    ///< entries before it are valid and kept, all behind it are not
};

/// The rule: an incomplete batch at the very end that has a blank sector was not synced (torn). Anything else
/// that does not check may have been acknowledged (damage): an incomplete batch with a later batch behind it,
/// one with a damaged sector and no blank one, or a missing segment.
LogScan scan_segments(const std::vector<SegmentImage>& images);

}  // namespace smackd::storage
