// The log of one stream of a task: files named by the offset of their first byte
// ("stdout.00000000000000000000").
//
// Offsets count from the task's start for ever; rotation removes the oldest files, and readers are told where
// the rest begins.
#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/wire/shim_state.pb.h"
#include "services/agent/descriptor.h"

namespace smackd::agent {

inline constexpr uint64_t kDefaultLogSegmentBytes = 10ULL << 20U;
inline constexpr uint64_t kDefaultLogTotalBytes = 50ULL << 20U;
inline constexpr uint64_t kDefaultLogBytesPerSecond = 10ULL << 20U;

struct LogSegment {
    uint64_t offset = 0;
    uint64_t size = 0;
    std::string name{};
};
/// The files of a stream, oldest first.
std::vector<LogSegment> list_log(int directory, const std::string& stream);

/// Up to `length` bytes from `offset` on; from the oldest that is there when that part is gone.
struct LogRead {
    uint64_t offset = 0;
    core::Bytes bytes{};
    uint64_t end = 0;
};
core::Result<LogRead> read_log_files(int directory, const std::string& stream, uint64_t offset,
                                     size_t length);

class LogWriter {
 public:
    /// Goes on where files of the stream end. `total_bytes` is kept to within one segment. Without a byte
    /// there is no file.
    LogWriter(int directory, std::string stream, uint64_t segment_bytes, uint64_t total_bytes);

    /// Appends; what the disk does not take is counted and lost: a full disk must not stop the task.
    void write(core::BytesView bytes);
    uint64_t written() const { return end_; }
    uint64_t lost() const { return lost_; }

    /// For another build of this process that goes on with it: where it stands, and its open file, whose
    /// descriptor it keeps.
    void save(wire::ShimLogState& into) const;
    int descriptor() const { return file_.get(); }
    void resume(const wire::ShimLogState& from, Descriptor file);

 private:
    void open_segment();
    void remove_oldest();

    int directory_;
    std::string stream_;
    uint64_t segment_bytes_;
    uint64_t total_bytes_;
    Descriptor file_;
    uint64_t segment_begin_ = 0;
    uint64_t end_ = 0;
    uint64_t lost_ = 0;
};

/// How much a stream may write now: `bytes_per_second` on average, ten seconds' worth at once.
class LogRate {
 public:
    LogRate(uint64_t bytes_per_second, core::Instant now);
    /// 0: wait.
    uint64_t allowed(core::Instant now);
    void take(uint64_t bytes);

    void save(wire::ShimLogState& into) const;
    void resume(const wire::ShimLogState& from);

 private:
    uint64_t per_second_;
    uint64_t credit_;
    core::Instant refilled_;
};

}  // namespace smackd::agent
