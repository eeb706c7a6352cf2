#include "storage/sqlite/wal.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace smackd::storage::sqlite {
namespace {

constexpr std::string_view kMarkMagic = "SMBF";

// Offsets in the file format, sections 4.1 and 4.2.
constexpr size_t kHeaderSalts = 16;
constexpr size_t kFrameCommitSize = 4;  // not 0 in the last frame of a transaction
constexpr size_t kFrameSalts = 8;
constexpr size_t kFrameSum = 16;

struct WalScan {
    enum class Header : uint8_t { kBlank, kSound, kBad };
    Header header = Header::kBlank;
    WalSalts salts{};
    uint64_t committed = 0;  ///< frames up to the end of the last whole transaction: what SQLite keeps
    uint64_t later = 0;  ///< the last frame behind the first bad one that checks and has the salts; 0: none
};

WalSalts salts_at(const char* bytes) {
    WalSalts salts{};
    std::memcpy(salts.data(), bytes, salts.size());
    return salts;
}

core::Result<bool> read_whole(core::File& file, uint64_t offset, std::string& buffer) {
    TRY_ASSIGN(const size_t count, file.read_at(offset, buffer.data(), buffer.size()));
    return count == buffer.size();
}

/// Walks the frames as SQLite does at recovery, and then on to the end of the file.
core::Result<WalScan> scan_wal(core::File& file) {
    WalScan scan;
    std::string header(kWalHeaderBytes, '\0');
    TRY_ASSIGN(const bool has_header, read_whole(file, 0, header));
    if (!has_header || std::ranges::all_of(header, [](char c) { return c == 0; })) return scan;
    scan.header = wal_header_is_sound(header.data()) ? WalScan::Header::kSound : WalScan::Header::kBad;
    if (scan.header == WalScan::Header::kBad) return scan;
    scan.salts = salts_at(header.data() + kHeaderSalts);
    std::string previous = header.substr(kWalHeaderBytes - 8);
    std::string frame(kWalFrameBytes, '\0');
    bool cut = false;
    for (uint64_t number = 1;; ++number) {
        TRY_ASSIGN(const bool whole,
                   read_whole(file, kWalHeaderBytes + (number - 1) * kWalFrameBytes, frame));
        if (!whole) return scan;
        // Behind a bad frame the sum is carried on from what stands in the file: a link of the chain checks
        // even where the chain does not.
        const bool sound = salts_at(frame.data() + kFrameSalts) == scan.salts &&
                           frame_is_sound(previous.data(), frame.data(), frame.data() + kWalFrameHeaderBytes);
        const bool commits = std::memcmp(frame.data() + kFrameCommitSize, "\0\0\0\0", 4) != 0;
        cut = cut || !sound;
        if (sound && cut) scan.later = number;
        if (sound && !cut && commits) scan.committed = number;
        previous = frame.substr(kFrameSum, 8);
    }
}

core::Result<std::optional<BackfillMark>> read_mark(core::Disk& disk, const std::string& path) {
    auto bytes = core::read_file(disk, path + kBackfillMarkSuffix, kBackfillMarkBytes);
    if (bytes) return decode_backfill_mark(*bytes);
    const core::Errc code = bytes.error().code;
    if (code == core::Errc::kNotFound || code == core::Errc::kInvalid) return std::optional<BackfillMark>{};
    return core::pass(std::move(bytes));
}

}  // namespace

core::Bytes encode_backfill_mark(const BackfillMark& mark) {
    core::Bytes bytes(kMarkMagic);
    bytes.append(mark.salts.data(), mark.salts.size());
    core::put_u32(bytes, mark.frames);
    core::put_u32(bytes, core::crc32c(bytes));
    return bytes;
}

std::optional<BackfillMark> decode_backfill_mark(core::BytesView bytes) {
    if (bytes.size() != kBackfillMarkBytes || !bytes.starts_with(kMarkMagic)) return std::nullopt;
    const core::BytesView body = bytes.substr(0, kBackfillMarkBytes - 4);
    if (core::crc32c(body) != core::get_u32(bytes.data() + body.size())) return std::nullopt;
    return BackfillMark{.salts = salts_at(bytes.data() + kMarkMagic.size()),
                        .frames = core::get_u32(bytes.data() + kMarkMagic.size() + sizeof(WalSalts))};
}

core::Result<void> check_wal(core::Disk& disk, const std::string& path) {
    auto file = disk.open(path + "-wal", core::OpenMode::kRead);
    if (!file && file.error().code == core::Errc::kNotFound) return {};
    if (!file) return core::pass(std::move(file));
    TRY_ASSIGN(const WalScan scan, scan_wal(**file));
    if (scan.header == WalScan::Header::kBlank) return {};
    if (scan.header == WalScan::Header::kBad) {
        // SQLite syncs the header before it writes a frame.
        return core::fail(core::Errc::kCorrupt, "{}-wal: its header does not match its checksum", path);
    }
    TRY_ASSIGN(const auto mark, read_mark(disk, path));
    if (mark) {
        if (mark->salts != scan.salts || scan.committed >= mark->frames) return {};
        return core::fail(
            core::Errc::kCorrupt,
            "{}-wal: frame {} or one soon behind it is damaged, and pages up to frame {} are in "
            "the database file already",
            path, scan.committed + 1, mark->frames);
    }
    if (scan.later == 0) return {};
    return core::fail(core::Errc::kCorrupt,
                      "{}-wal: a frame behind {} is damaged, and frame {} of the same writing is sound", path,
                      scan.committed, scan.later);
}

}  // namespace smackd::storage::sqlite
