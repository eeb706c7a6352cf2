#include "storage/log/scan.h"

#include <algorithm>
#include <format>

#include "core/planted.h"
#include "storage/log/sector.h"

namespace smackd::storage {
namespace {

/// One segment cut into sectors; sector 0 is its header.
struct Sectors {
    explicit Sectors(const SegmentImage& image) : number(image.number) {
        // A file may end within a sector when its size was not synced: the rest counts as blank.
        for (size_t at = 0; at + kSectorBytes <= image.bytes.size(); at += kSectorBytes) {
            list.push_back(inspect_sector(image.bytes.data() + at));
            if (list.back().state != SectorState::kBlank) used = list.size();
        }
        if (list.empty()) list.resize(1);
    }
    uint64_t number;
    std::vector<Sector> list;
    size_t used = 0;  ///< sectors up to the last that is not blank
};

class Scanner {
 public:
    explicit Scanner(const std::vector<SegmentImage>& images) {
        for (const SegmentImage& image : images) segments_.emplace_back(image);
    }

    LogScan run() {
        for (at_ = 0; at_ < segments_.size() && !result_.damage && !result_.torn; ++at_) scan_segment();
        result_.first = core::Index{first_known_ ? result_.first.value : 1};
        return std::move(result_);
    }

 private:
    void scan_segment() {
        const Sectors& segment = segments_[at_];
        SegmentScan scan{.number = segment.number,
                         .end = kSectorBytes,
                         .used_end = segment.used * kSectorBytes,
                         .max_index = {},
                         .holds_batch = false};
        if (!number_known_) read_header(segment.list.front());
        size_t sector = 1;
        while (sector < segment.used) {
            const size_t count = whole_batch(segment, sector);
            if (count == 0) {
                judge(segment, sector);
                break;
            }
            if (!take_batch(segment, sector, count, scan)) break;
            sector += count;
        }
        scan.end = sector * kSectorBytes;
        result_.segments.push_back(scan);
    }

    /// The oldest segment left says where it continues: the number and the chain of the batch before it.
    void read_header(const Sector& header) {
        if (header.state != SectorState::kSealed || header.count != 0) return;
        result_.next_batch = core::get_u64(header.data.data() + 8);
        result_.chain = core::get_u32(header.data.data() + 16);
        number_known_ = chain_known_ = true;
    }

    /// The sectors of the batch that begins at `start`, or 0 when it is not there whole.
    size_t whole_batch(const Sectors& segment, size_t start) const {
        const Sector& head = segment.list[start];
        if (head.state != SectorState::kSealed || head.position != 0 || head.count == 0) return 0;
        if (number_known_ && head.batch != static_cast<uint32_t>(result_.next_batch)) return 0;
        if (head.count > segment.list.size() - start) return 0;
        for (size_t i = 1; i < head.count; ++i) {
            const Sector& sector = segment.list[start + i];
            if (sector.state != SectorState::kSealed || sector.batch != head.batch || sector.position != i ||
                sector.count != head.count) {
                return 0;
            }
        }
        return head.count;
    }

    bool take_batch(const Sectors& segment, size_t start, size_t count, SegmentScan& scan) {
        core::Bytes stream;
        stream.reserve(count * kSectorDataBytes);
        for (size_t i = 0; i < count; ++i) stream.append(segment.list[start + i].data);
        auto batch = decode_batch(stream, !chain_known_, result_.chain);
        if (!batch) {
            report(segment, start, batch.error().message);
            return false;
        }
        if (!fits(*batch)) {
            report(segment, start,
                   std::format("batch {} begins at index {}", batch->number, batch->first.value));
            return false;
        }
        number_known_ = chain_known_ = true;
        result_.next_batch = batch->number + 1;
        scan.holds_batch = true;
        place(*batch);
        if (!batch->entries.empty()) scan.max_index = std::max(scan.max_index, batch->entries.back().index);
        return true;
    }

    uint64_t last() const { return result_.first.value + result_.entries.size() - 1; }

    bool fits(const Batch& batch) const {
        return batch.reset || !first_known_ || batch.first.value <= last() + 1;
    }

    void place(Batch& batch) {
        // A batch below the first one here replaced entries of segments that are gone since.
        if (batch.reset || !first_known_ || batch.first < result_.first) {
            result_.entries.clear();
            result_.first = batch.first;
            first_known_ = true;
        } else if (!SMACK_BUG("log_keep_truncated_suffix") || batch.first.value > last()) {
            result_.entries.resize(batch.first.value - result_.first.value);
        }
        for (LogEntry& entry : batch.entries) {
            if (entry.index.value == last() + 1) result_.entries.push_back(std::move(entry));
        }
    }

    /// A batch is not whole: torn or damaged?
    void judge(const Sectors& segment, size_t start) {
        if (!later_batch(start) && unfinished(segment, start)) {
            result_.torn = true;
            return;
        }
        if (SMACK_BUG("log_cut_damage_silently")) {
            result_.torn = true;
            return;
        }
        report(segment, start, "a record there fails its checksum");
    }

    /// True when a sector was never written, which the sync before an acknowledgement excludes.
    bool unfinished(const Sectors& segment, size_t start) const {
        size_t count = 0;
        for (size_t i = start; i < segment.used && count == 0; ++i) {
            const Sector& sector = segment.list[i];
            if (sector.state == SectorState::kSealed && i - start == sector.position) count = sector.count;
        }
        const size_t end = count == 0 ? segment.used : start + count;
        for (size_t i = start; i < end; ++i) {
            if (i >= segment.list.size() || segment.list[i].state == SectorState::kBlank) return true;
        }
        return false;
    }

    static bool is_later(uint32_t batch, uint32_t than) { return static_cast<int32_t>(batch - than) > 0; }

    /// Whether a batch behind the one at `start` was written; the log writes one only after the sync of the
    /// last.
    bool later_batch(size_t start) const {
        const auto bad = static_cast<uint32_t>(result_.next_batch);
        for (size_t s = at_; s < segments_.size(); ++s) {
            for (size_t i = s == at_ ? start : 0; i < segments_[s].used; ++i) {
                const Sector& sector = segments_[s].list[i];
                if (sector.state == SectorState::kSealed && is_later(sector.batch, bad)) return true;
                if (sector.state == SectorState::kDamaged && s > at_) return true;
            }
        }
        return false;
    }

    void report(const Sectors& segment, size_t start, const std::string& why) {
        LogDamage damage;
        damage.first = core::Index{first_known_ ? last() + 1 : 1};
        damage.last = last_index_behind();
        damage.what = std::format("segment {} at byte {}: {}", segment.number, start * kSectorBytes, why);
        // Records that a damaged one would have superseded may be void: the first index lost can be lower,
        // and what is kept is overwritten by the leader. Alone there is no truncation.
        result_.damage = std::move(damage);
    }

    /// The highest index that a readable batch behind the damage begins with or holds; 0 when there is none.
    core::Index last_index_behind() const {
        core::Index highest;
        for (size_t s = at_; s < segments_.size(); ++s) {
            for (size_t i = 1; i < segments_[s].used; ++i) {
                const Sector& sector = segments_[s].list[i];
                const bool head =
                    sector.state == SectorState::kSealed && sector.position == 0 && sector.count > 0;
                if (!head || !is_later(sector.batch, static_cast<uint32_t>(result_.next_batch))) continue;
                const uint64_t first = core::get_u64(sector.data.data() + 8);
                const uint32_t count = core::get_u32(sector.data.data() + 20);
                const core::Index end{first + std::max<uint64_t>(count, 1) - 1};
                highest = std::max(highest, end);
            }
        }
        return highest;
    }

    std::vector<Sectors> segments_;
    size_t at_ = 0;
    LogScan result_;
    bool number_known_ = false;  ///< of the batch that comes next
    bool chain_known_ = false;
    bool first_known_ = false;  ///< result_.first is set
};

}  // namespace

std::string LogDamage::range() const {
    return last.value >= first.value ? std::format("entries {} to {}", first.value, last.value)
                                     : std::format("entries from {} on", first.value);
}

LogScan scan_segments(const std::vector<SegmentImage>& images) {
    return Scanner(images).run();
}

}  // namespace smackd::storage
