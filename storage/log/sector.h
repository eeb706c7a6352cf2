// Sealed sectors: the unit in which the log is written and in which it tells a torn write from damage.
//
// A sector of 512 bytes is what a disk writes whole or not at all. Each carries its own checksum, so after a
// crash it is one of three things: sealed (written), blank (never written: the file was preallocated with
// zeros) or damaged (neither). A crash in mid-write leaves blank sectors in the batch; a bit flip leaves a
// damaged one.
#pragma once

#include <cstdint>

#include "core/bytes.h"

namespace smackd::storage {

inline constexpr size_t kSectorBytes = 512;
inline constexpr size_t kSectorHeaderBytes = 16;
inline constexpr size_t kSectorDataBytes = kSectorBytes - kSectorHeaderBytes;
inline constexpr size_t kBatchSectorsMax = 65535;
/// A sector with at most this many one bits counts as blank: the magic number alone has more, so that a flip
/// in space never written is not taken for a damaged record.
inline constexpr int kBlankBitsMax = 8;

enum class SectorState : uint8_t { kBlank, kSealed, kDamaged };

struct Sector {
    SectorState state = SectorState::kBlank;
    uint32_t batch = 0;     ///< low 32 bits of the batch's number
    uint16_t position = 0;  ///< within the batch
    uint16_t count = 0;     ///< sectors of the batch; 0 marks the header of a segment
    core::BytesView data;   ///< kSectorDataBytes, pointing into what was inspected
};

/// Reads the sector at `at` (kSectorBytes bytes). The fields but `state` are set only when it is sealed.
Sector inspect_sector(const char* at);

/// Cuts `stream` into whole sealed sectors, the last padded with zeros. At most kBatchSectorsMax sectors.
core::Bytes seal_batch(uint32_t batch, core::BytesView stream);

/// One sealed sector with position 0 and count 0: the header of a segment.
core::Bytes seal_header(uint32_t first_batch, core::BytesView stream);

/// Sectors that a stream of `bytes` takes.
constexpr size_t sectors_for(size_t bytes) {
    return (bytes + kSectorDataBytes - 1) / kSectorDataBytes;
}

}  // namespace smackd::storage
