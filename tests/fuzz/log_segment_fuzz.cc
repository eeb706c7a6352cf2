// The bytes of a log's segments: up to three files of 4 KiB. Checksums of sectors are set right first, for no
// mutation would guess one; those of records are left, and everything before them is reached.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "storage/log/scan.h"
#include "storage/log/sector.h"

namespace {

using namespace smackd;

void seal(core::Bytes& bytes) {
    for (size_t at = 0; at + storage::kSectorBytes <= bytes.size(); at += storage::kSectorBytes) {
        core::Bytes checksum;
        core::put_u32(checksum,
                      core::crc32c(core::BytesView(bytes).substr(at + 4, storage::kSectorBytes - 4)));
        bytes.replace(at, 4, checksum);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kSegmentBytes = 4096;
    std::vector<storage::SegmentImage> images;
    core::Bytes all(reinterpret_cast<const char*>(data), size);
    // The first byte says whether sectors are sealed or taken as they are.
    if (!all.empty() && (all[0] & 1) != 0) seal(all);
    for (size_t at = 0; at < all.size() && images.size() < 3; at += kSegmentBytes) {
        images.push_back({.number = images.size() + 1, .bytes = all.substr(at, kSegmentBytes)});
    }
    const storage::LogScan scan = storage::scan_segments(images);
    // What comes out is contiguous, and damage begins right behind it.
    uint64_t next = scan.first.value;
    for (const storage::LogEntry& entry : scan.entries) {
        if (entry.index.value != next++) std::abort();
    }
    if (scan.damage && scan.damage->first.value != next) std::abort();
    if (scan.torn && scan.damage) std::abort();
    return 0;
}
