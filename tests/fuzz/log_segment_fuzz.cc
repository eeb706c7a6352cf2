// The bytes of a log's segments: up to three files of 4 KiB. No mutation would guess a checksum, so they are
// set right first, of records and of sectors; the first byte says of which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "storage/log/scan.h"
#include "storage/log/sector.h"

namespace {

using namespace smackd;

constexpr size_t kSegmentBytes = 4096;
constexpr unsigned char kSealSectors = 1;
constexpr unsigned char kSealRecords = 2;

void put_u32_at(core::Bytes& bytes, size_t at, uint32_t value) {
    core::Bytes field;
    core::put_u32(field, value);
    bytes.replace(at, field.size(), field);
}

void seal_sectors(core::Bytes& bytes) {
    for (size_t at = 0; at + storage::kSectorBytes <= bytes.size(); at += storage::kSectorBytes) {
        put_u32_at(bytes, at,
                   core::crc32c(core::BytesView(bytes).substr(at + sizeof(uint32_t),
                                                              storage::kSectorBytes - sizeof(uint32_t))));
    }
}

/// Makes the records of a batch's stream continue `chain`, as far as they can be found.
void seal_records(core::Bytes& stream, uint32_t& chain) {
    constexpr size_t kCountAt = 20;
    constexpr size_t kChainAt = 24;
    put_u32_at(stream, kChainAt, chain);
    const uint32_t count = core::get_u32(stream.data() + kCountAt);
    size_t at = storage::kBatchHeaderBytes;
    for (uint32_t i = 0; i < count && at + storage::kRecordHeaderBytes <= stream.size(); ++i) {
        const core::Bytes header = stream.substr(at, 4) + stream.substr(at + 8, 24);  // length; term on
        const uint32_t length = core::get_u32(header.data());
        const core::BytesView payload =
            core::BytesView(stream).substr(at + storage::kRecordHeaderBytes, length);
        chain = core::crc32c(payload, core::crc32c(header, chain));
        put_u32_at(stream, at + 4, chain);
        at += storage::kRecordHeaderBytes + payload.size();
    }
}

/// The same for all batches of one segment.
void seal_batches(core::Bytes& segment, uint32_t& chain) {
    for (size_t at = storage::kSectorBytes; at + storage::kSectorBytes <= segment.size();) {
        const storage::Sector head = storage::inspect_sector(segment.data() + at);
        const size_t count = head.state == storage::SectorState::kSealed ? head.count : 0;
        if (count == 0 || count > (segment.size() - at) / storage::kSectorBytes) return;
        core::Bytes stream;
        const auto place = [&](size_t i) {
            return at + i * storage::kSectorBytes + storage::kSectorHeaderBytes;
        };
        for (size_t i = 0; i < count; ++i) stream += segment.substr(place(i), storage::kSectorDataBytes);
        seal_records(stream, chain);
        for (size_t i = 0; i < count; ++i) {
            segment.replace(place(i), storage::kSectorDataBytes, stream, i * storage::kSectorDataBytes,
                            storage::kSectorDataBytes);
        }
        at += count * storage::kSectorBytes;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<storage::SegmentImage> images;
    const core::Bytes all(reinterpret_cast<const char*>(data), size);
    const auto seals = static_cast<unsigned char>(all.empty() ? 0 : all[0]);
    uint32_t chain = 0;
    for (size_t at = 0; at < all.size() && images.size() < 3; at += kSegmentBytes) {
        core::Bytes segment = all.substr(at, kSegmentBytes);
        if ((seals & kSealSectors) != 0) seal_sectors(segment);
        if ((seals & kSealSectors) != 0 && (seals & kSealRecords) != 0) {
            if (images.empty() && segment.size() >= storage::kSectorBytes)
                chain = core::get_u32(segment.data() + storage::kSectorHeaderBytes + 16);
            seal_batches(segment, chain);
            seal_sectors(segment);
        }
        images.push_back({.number = images.size() + 1, .bytes = std::move(segment)});
    }
    const storage::LogScan scan = storage::scan_segments(images);
    // What comes out is contiguous and of a known type, and damage begins right behind it.
    uint64_t next = scan.first.value;
    for (const storage::LogEntry& entry : scan.entries) {
        const bool known = entry.type == storage::EntryType::kCommand ||
                           entry.type == storage::EntryType::kConfiguration ||
                           entry.type == storage::EntryType::kBarrier;
        if (!known || entry.index.value != next++) std::abort();
    }
    if (scan.damage && scan.damage->first.value != next) std::abort();
    if (scan.torn && scan.damage) std::abort();
    return 0;
}
