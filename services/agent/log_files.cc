#include "services/agent/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <format>

#include "services/agent/monotonic.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

constexpr uint64_t kBurstSeconds = 10;

std::string segment_name(const std::string& stream, uint64_t offset) {
    return std::format("{}.{:020}", stream, offset);
}

}  // namespace

std::vector<LogSegment> list_log(int directory, const std::string& stream) {
    std::vector<LogSegment> segments;
    for (const std::string& name : names_in(directory, ".")) {
        if (name.size() != stream.size() + 21 || !name.starts_with(stream + ".")) continue;
        LogSegment segment;
        const char* digits = name.data() + stream.size() + 1;
        const auto [end, error] = std::from_chars(digits, name.data() + name.size(), segment.offset);
        struct stat found{};
        if (error != std::errc() || end != name.data() + name.size() ||
            ::fstatat(directory, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(found.st_mode))
            continue;
        segment.size = static_cast<uint64_t>(found.st_size);
        segment.name = name;
        segments.push_back(std::move(segment));
    }
    std::ranges::sort(segments, {}, &LogSegment::offset);
    return segments;
}

core::Result<LogRead> read_log_files(int directory, const std::string& stream, uint64_t offset,
                                     size_t length) {
    const std::vector<LogSegment> segments = list_log(directory, stream);
    LogRead out;
    if (segments.empty()) return out;
    out.end = segments.back().offset + segments.back().size;
    out.offset = std::clamp(offset, segments.front().offset, out.end);
    for (const LogSegment& segment : segments) {
        const uint64_t at = out.offset + out.bytes.size();
        if (out.bytes.size() >= length) break;
        if (at < segment.offset || at >= segment.offset + segment.size) continue;
        const Descriptor file(::openat(directory, segment.name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!file) break;  // rotated away just now
        const size_t had = out.bytes.size();
        out.bytes.resize(had + std::min<uint64_t>(length - had, segment.offset + segment.size - at));
        const ssize_t got = ::pread(file.get(), out.bytes.data() + had, out.bytes.size() - had,
                                    static_cast<off_t>(at - segment.offset));
        if (got < 0) return core::fail_errno(errno, segment.name);
        out.bytes.resize(had + static_cast<size_t>(got));
    }
    return out;
}

LogWriter::LogWriter(int directory, std::string stream, uint64_t segment_bytes, uint64_t total_bytes)
    : directory_(directory),
      stream_(std::move(stream)),
      segment_bytes_(segment_bytes == 0 ? kDefaultLogSegmentBytes : segment_bytes),
      total_bytes_(total_bytes == 0 ? kDefaultLogTotalBytes : total_bytes) {
    const std::vector<LogSegment> segments = list_log(directory_, stream_);
    if (!segments.empty()) end_ = segments.back().offset + segments.back().size;
}

void LogWriter::open_segment() {
    segment_begin_ = end_;
    file_ = Descriptor(::openat(directory_, segment_name(stream_, end_).c_str(),
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    remove_oldest();
}

void LogWriter::remove_oldest() {
    const std::vector<LogSegment> segments = list_log(directory_, stream_);
    for (const LogSegment& segment : segments) {
        if (end_ - segment.offset <= total_bytes_ || segment.offset == segment_begin_) break;
        ::unlinkat(directory_, segment.name.c_str(), 0);
    }
}

void LogWriter::write(core::BytesView bytes) {
    while (!bytes.empty()) {
        if (end_ - segment_begin_ >= segment_bytes_ || !file_) open_segment();
        const size_t piece = std::min<uint64_t>(bytes.size(), segment_bytes_ - (end_ - segment_begin_));
        const ssize_t put = ::write(file_.get(), bytes.data(), piece);
        if (put <= 0) {
            lost_ += bytes.size();
            return;
        }
        end_ += static_cast<uint64_t>(put);
        bytes.remove_prefix(static_cast<size_t>(put));
    }
}

void LogWriter::save(wire::ShimLogState& into) const {
    into.set_segment_begin(segment_begin_);
    into.set_end(end_);
    into.set_lost(lost_);
}

void LogWriter::resume(const wire::ShimLogState& from, Descriptor file) {
    file_ = std::move(file);
    segment_begin_ = from.segment_begin();
    end_ = from.end();
    lost_ = from.lost();
}

LogRate::LogRate(uint64_t bytes_per_second, core::Instant now)
    : per_second_(bytes_per_second == 0 ? kDefaultLogBytesPerSecond : bytes_per_second),
      credit_(per_second_ * kBurstSeconds),
      refilled_(now) {}

uint64_t LogRate::allowed(core::Instant now) {
    const auto passed = std::chrono::duration_cast<core::milliseconds>(now - refilled_).count();
    if (passed > 0) {
        const uint64_t most = per_second_ * kBurstSeconds;
        const uint64_t added =
            static_cast<uint64_t>(std::min<int64_t>(passed, 1000 * kBurstSeconds)) * per_second_ / 1000;
        credit_ = std::min(most, credit_ + added);
        refilled_ = refilled_ + core::milliseconds(passed);
    }
    return credit_;
}

void LogRate::take(uint64_t bytes) {
    credit_ -= std::min(credit_, bytes);
}

void LogRate::save(wire::ShimLogState& into) const {
    into.set_credit(credit_);
    into.set_refilled_us(microseconds_of(refilled_));
}

void LogRate::resume(const wire::ShimLogState& from) {
    credit_ = std::min(from.credit(), per_second_ * kBurstSeconds);
    refilled_ = instant_of(from.refilled_us());
}

}  // namespace smackd::agent
