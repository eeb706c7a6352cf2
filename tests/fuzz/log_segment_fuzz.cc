// The bytes of a log's segments, cut at a marker into up to three files.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "storage/log/scan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace smackd;
    constexpr size_t kSegmentBytes = 4096;
    std::vector<storage::SegmentImage> images;
    const core::Bytes all(reinterpret_cast<const char*>(data), size);
    for (size_t at = 0; at < all.size() && images.size() < 3; at += kSegmentBytes) {
        images.push_back({.number = images.size() + 1, .bytes = all.substr(at, kSegmentBytes)});
    }
    const storage::LogScan scan = storage::scan_segments(images);
    // What comes out is contiguous, ends where the scan says, and damage begins right behind it.
    uint64_t next = scan.first.value;
    for (const storage::LogEntry& entry : scan.entries) {
        if (entry.index.value != next++) std::abort();
    }
    if (scan.damage && scan.damage->first.value != next) std::abort();
    if (scan.torn && scan.damage) std::abort();
    return 0;
}
