// The durable log of one replica: segments of sealed batches in one folder.
//
// Append-only: a record supersedes every earlier one of its index and above, so truncating a suffix is part
// of the append that follows it. All calls block; in production they run on the log executor, one at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/disk.h"
#include "storage/log/scan.h"

namespace smackd::storage {

/// What was found at start.
struct LogContents {
    core::Index first;  ///< index of entries[0], or of the next append when there is none
    std::vector<LogEntry> entries;
    bool torn = false;  ///< an unfinished write was cut; nothing of it was acknowledged
    std::optional<LogDamage> damage;
    uint64_t bytes = 0;  ///< of live segments, as used
};

class Log {
 public:
    /// Reads and verifies every record in `directory` (made when absent) and cuts a torn tail. With damage
    /// the log opens read-only: call repair() before anything is appended. Errors: kIo, kDiskFull.
    static core::Result<std::unique_ptr<Log>> open(core::Disk& disk, const std::string& directory,
                                                   uint64_t segment_bytes, LogContents& contents);

    /// Makes `entries` (contiguous, the first at most one past the last) durable; when it returns they are.
    /// On an error nothing of them counts: the same append may be tried again.
    core::Result<void> append(std::span<const LogEntry> entries);
    /// Voids all entries durably: the next append begins at `next`. For a log replaced by a snapshot.
    core::Result<void> reset(core::Index next);
    /// Removes the segments that hold only entries at or below `upto`; the newest stays.
    core::Result<void> cut_prefix(core::Index upto);
    /// Drops the damaged batch and all behind it. The caller has made sure that the loss is known (metadata)
    /// or accepted (recover).
    core::Result<void> repair();

    /// Bytes in use by records of the segments that exist.
    uint64_t bytes() const;

 private:
    struct Segment {
        uint64_t number = 0;
        uint64_t end = 0;  ///< where the next batch goes
        core::Index max_index;
    };

    Log(core::Disk& disk, std::string directory, uint64_t segment_bytes)
        : disk_(disk), directory_(std::move(directory)), segment_bytes_(segment_bytes) {}
    std::string path(uint64_t number) const;
    core::Result<std::vector<SegmentImage>> read_segments();
    core::Result<void> adopt(const LogScan& scan, const std::vector<SegmentImage>& images);
    core::Result<void> erase_from(const SegmentScan& scan);
    core::Result<void> write_batch(core::Index first, bool reset, std::span<const LogEntry> entries);
    core::Result<void> roll(uint64_t batch_bytes);

    core::Disk& disk_;
    std::string directory_;
    uint64_t segment_bytes_;
    std::vector<Segment> segments_;     ///< oldest first; the last is written to
    std::unique_ptr<core::File> file_;  ///< of the last segment; empty before the first append
    uint64_t file_bytes_ = 0;           ///< preallocated size of file_
    uint64_t next_batch_ = 1;
    uint32_t chain_ = 0;
    std::optional<LogScan> damaged_;  ///< what repair() works on
    std::vector<uint64_t> numbers_;   ///< of every file found, for repair()
    bool dirty_tail_ = false;         ///< a failed write may have left sectors behind the end
};

}  // namespace smackd::storage
