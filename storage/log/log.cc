#include "storage/log/log.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/assert.h"
#include "core/planted.h"
#include "storage/log/folder.h"
#include "storage/log/sector.h"

namespace smackd::storage {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr std::string_view kPrefix = "log-";
constexpr uint64_t kSegmentFileBytesMax = 1ULL << 30U;

std::optional<uint64_t> segment_number(std::string_view name) {
    if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + 20) return std::nullopt;
    name.remove_prefix(kPrefix.size());
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return number;
}

core::Bytes segment_header(uint64_t number, uint64_t first_batch, uint32_t chain) {
    core::Bytes stream;
    core::put_u64(stream, number);
    core::put_u64(stream, first_batch);
    core::put_u32(stream, chain);
    core::put_u32(stream, kFormatVersion);
    return seal_header(static_cast<uint32_t>(first_batch), stream);
}

}  // namespace

std::string Log::path(uint64_t number) const {
    return std::format("{}/{}{:020}", directory_, kPrefix, number);
}

core::Result<std::unique_ptr<Log>> Log::open(core::Disk& disk, const std::string& directory,
                                             uint64_t segment_bytes, LogContents& contents) {
    TRY(make_durable_directory(disk, directory));
    std::unique_ptr<Log> log(new Log(disk, directory, segment_bytes));
    TRY_ASSIGN(const auto images, log->read_segments());
    LogScan scan = scan_segments(images);
    contents.first = scan.first;
    contents.torn = scan.torn;
    contents.damage = scan.damage;
    contents.entries = std::move(scan.entries);
    for (const SegmentImage& image : images) log->numbers_.push_back(image.number);
    if (scan.damage) {
        log->damaged_ = std::move(scan);
    } else {
        TRY(log->adopt(scan, images));
    }
    contents.bytes = log->bytes();
    return log;
}

core::Result<std::vector<SegmentImage>> Log::read_segments() {
    std::vector<SegmentImage> images;
    TRY_ASSIGN(const auto names, disk_.list(directory_));
    for (const std::string& name : names) {
        const auto number = segment_number(name);
        if (!number) continue;
        TRY_ASSIGN(core::Bytes bytes, core::read_file(disk_, path(*number), kSegmentFileBytesMax));
        images.push_back(SegmentImage{.number = *number, .bytes = std::move(bytes)});
    }
    return images;
}

/// Takes over what the scan found whole: removes segments behind the end of the data, erases a torn tail.
core::Result<void> Log::adopt(const LogScan& scan, const std::vector<SegmentImage>& images) {
    next_batch_ = scan.next_batch;
    chain_ = scan.chain;
    segments_.clear();
    for (const SegmentScan& found : scan.segments) {
        if (!found.holds_batch) continue;
        segments_.push_back(Segment{.number = found.number, .end = found.end, .max_index = found.max_index});
    }
    // An empty segment is one whose first batch was never synced: it starts anew.
    bool removed = false;
    for (auto image = images.rbegin(); image != images.rend(); ++image) {
        const bool kept = std::ranges::contains(segments_, image->number, &Segment::number);
        if (kept) continue;
        TRY(disk_.remove(path(image->number)));
        removed = true;
    }
    if (removed) TRY(disk_.sync_directory(directory_));
    if (segments_.empty()) return {};
    TRY_ASSIGN(file_, disk_.open(path(segments_.back().number), core::OpenMode::kReadWrite));
    TRY_ASSIGN(file_bytes_, file_->size());
    const auto last = std::ranges::find(scan.segments, segments_.back().number, &SegmentScan::number);
    if (last->used_end > last->end) TRY(erase_from(*last));
    return {};
}

/// Makes the sectors behind the last whole batch blank again, so that they cannot be taken for data later.
core::Result<void> Log::erase_from(const SegmentScan& scan) {
    if (SMACK_BUG("log_leave_torn_tail")) return {};
    TRY(file_->write_at(scan.end, core::Bytes(scan.used_end - scan.end, '\0')));
    return file_->sync();
}

core::Result<void> Log::append(std::span<const LogEntry> entries) {
    SMACK_ASSERT(!damaged_);
    while (!entries.empty()) {
        size_t count = 0;
        size_t bytes = kBatchHeaderBytes;
        while (count < entries.size() &&
               (count == 0 || bytes + record_bytes(entries[count]) <= kBatchBytesMax)) {
            bytes += record_bytes(entries[count]);
            ++count;
        }
        TRY(write_batch(entries.front().index, false, entries.first(count)));
        entries = entries.subspan(count);
    }
    return {};
}

core::Result<void> Log::reset(core::Index next) {
    SMACK_ASSERT(!damaged_);
    TRY(write_batch(next, true, {}));
    // Older segments are void; should their removal be lost in a crash, the reset voids them again.
    while (segments_.size() > 1) {
        TRY(disk_.remove(path(segments_.front().number)));
        segments_.erase(segments_.begin());
        TRY(disk_.sync_directory(directory_));
    }
    segments_.back().max_index = core::Index{next.value - 1};
    return {};
}

core::Result<void> Log::write_batch(core::Index first, bool reset, std::span<const LogEntry> entries) {
    core::Bytes stream;
    uint32_t chain = chain_;
    encode_batch(next_batch_, first, reset, entries, chain, stream);
    const core::Bytes sealed = seal_batch(static_cast<uint32_t>(next_batch_), stream);
    // After a failed write or sync the tail may hold anything of the earlier try, under the same batch
    // number.
    if (dirty_tail_) {
        TRY(file_->write_at(segments_.back().end, core::Bytes(file_bytes_ - segments_.back().end, '\0')));
        TRY(file_->sync());
        dirty_tail_ = false;
    }
    if (!file_ || segments_.back().end + sealed.size() > file_bytes_) TRY(roll(sealed.size()));
    Segment& segment = segments_.back();
    dirty_tail_ = true;
    TRY(file_->write_at(segment.end, sealed));
    if (!SMACK_BUG("log_forget_sync")) TRY(file_->sync());
    dirty_tail_ = false;
    segment.end += sealed.size();
    if (!entries.empty()) segment.max_index = std::max(segment.max_index, entries.back().index);
    chain_ = chain;
    ++next_batch_;
    return {};
}

/// Starts a new segment that has room for a batch of `batch_bytes`. It counts only once file and name are
/// durable.
core::Result<void> Log::roll(uint64_t batch_bytes) {
    const uint64_t number = segments_.empty() ? next_batch_ : segments_.back().number + 1;
    const uint64_t size = std::max(segment_bytes_, kSectorBytes + batch_bytes);
    TRY_ASSIGN(auto file, disk_.open(path(number), core::OpenMode::kCreate));
    TRY(file->truncate(0));
    TRY(file->allocate(size));
    TRY(file->write_at(0, segment_header(number, next_batch_, chain_)));
    TRY(file->sync());
    if (!SMACK_BUG("log_forget_directory_sync")) TRY(disk_.sync_directory(directory_));
    file_ = std::move(file);
    file_bytes_ = size;
    segments_.push_back(Segment{.number = number, .end = kSectorBytes, .max_index = {}});
    return {};
}

core::Result<void> Log::cut_prefix(core::Index upto) {
    // One at a time and in order: a gap would look like damage.
    while (segments_.size() > 1 && segments_.front().max_index <= upto) {
        TRY(disk_.remove(path(segments_.front().number)));
        segments_.erase(segments_.begin());
        TRY(disk_.sync_directory(directory_));
    }
    return {};
}

core::Result<void> Log::repair() {
    SMACK_ASSERT(damaged_.has_value());
    const LogScan scan = std::move(*damaged_);
    const uint64_t last = scan.segments.empty() ? 0 : scan.segments.back().number;
    for (auto number = numbers_.rbegin(); number != numbers_.rend() && *number > last; ++number) {
        TRY(disk_.remove(path(*number)));
        TRY(disk_.sync_directory(directory_));
    }
    damaged_.reset();
    std::vector<SegmentImage> images;
    for (const uint64_t number : numbers_) {
        if (number <= last) images.push_back(SegmentImage{.number = number, .bytes = {}});
    }
    return adopt(scan, images);
}

uint64_t Log::bytes() const {
    uint64_t sum = 0;
    for (const Segment& segment : segments_) sum += segment.end;
    return sum;
}

}  // namespace smackd::storage
