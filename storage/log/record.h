// Log records and the batch they are written in.
//
// A batch is what one write and one sync make durable. Its stream is a header {number, first index, flags,
// record count, chain before} and records {length, chain, term, index, type, payload}. `chain` is a CRC-32C
// over the record that starts from the previous record's, so that a record is valid only after the one it was
// written after.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/result.h"

namespace smackd::storage {

enum class EntryType : uint8_t { kCommand = 1, kBarrier = 2, kConfiguration = 3 };

inline constexpr size_t kRecordHeaderBytes = 32;
inline constexpr size_t kBatchHeaderBytes = 32;
/// Above the largest entry the replica makes, so that its limits can grow without a new format.
inline constexpr size_t kRecordPayloadBytesMax = 4 * 1024 * 1024;
/// What one batch may hold; longer appends are written as several batches.
inline constexpr size_t kBatchBytesMax = 8 * 1024 * 1024;

struct LogEntry {
    core::Index index;
    core::Term term;
    EntryType type = EntryType::kCommand;
    std::shared_ptr<const core::Bytes>
        payload;  ///< shared by the log writer's thread and the entries in memory
};

struct Batch {
    uint64_t number = 0;
    core::Index first;   ///< index of the first record; of the next append when `reset`
    bool reset = false;  ///< everything before it is void: a snapshot has replaced it
    std::vector<LogEntry> entries;
};

/// Appends the stream of one batch to `out` and advances `chain` over its records.
void encode_batch(uint64_t number, core::Index first, bool reset, std::span<const LogEntry> entries,
                  uint32_t& chain, core::Bytes& out);

/// Reads a stream (padding behind the last record is ignored). kCorrupt when a length, an index or the chain
/// does not fit; `chain` is checked against the batch's unless `first_batch`, then advanced.
core::Result<Batch> decode_batch(core::BytesView stream, bool first_batch, uint32_t& chain);

/// The bytes an entry takes in a batch's stream.
inline size_t record_bytes(const LogEntry& entry) {
    return kRecordHeaderBytes + entry.payload->size();
}

}  // namespace smackd::storage
