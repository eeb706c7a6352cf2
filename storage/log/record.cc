#include "storage/log/record.h"

#include "core/assert.h"
#include "core/planted.h"

namespace smackd::storage {
namespace {

constexpr uint32_t kResetFlag = 1;

// length(4) [chain(4)] term(8) index(8) type(8) payload: the chain covers all but itself.
core::Bytes header_without_chain(const LogEntry& entry) {
    core::Bytes header;
    core::put_u32(header, static_cast<uint32_t>(entry.payload->size()));
    core::put_u64(header, entry.term.value);
    core::put_u64(header, entry.index.value);
    core::put_u64(header, static_cast<uint64_t>(entry.type));
    return header;
}

core::Result<LogEntry> decode_record(core::BytesView& stream, uint32_t& chain) {
    if (stream.size() < kRecordHeaderBytes)
        return core::fail(core::Errc::kCorrupt, "record header cut short");
    LogEntry entry;
    const uint32_t length = core::get_u32(stream.data());
    const uint32_t stored_chain = core::get_u32(stream.data() + 4);
    entry.term.value = core::get_u64(stream.data() + 8);
    entry.index.value = core::get_u64(stream.data() + 16);
    const uint64_t type = core::get_u64(stream.data() + 24);
    const bool fits = length <= kRecordPayloadBytesMax && length <= stream.size() - kRecordHeaderBytes;
    if (!fits) {
        return core::fail(core::Errc::kCorrupt, "record of {} bytes is longer than its batch", length);
    }
    if ((type < 1 || type > 3) && !SMACK_BUG("fuzz_log_segment"))
        return core::fail(core::Errc::kCorrupt, "record of unknown type {}", type);
    entry.type = static_cast<EntryType>(type);
    entry.payload = std::make_shared<const core::Bytes>(stream.substr(kRecordHeaderBytes, length));
    const uint32_t computed = core::crc32c(*entry.payload, core::crc32c(header_without_chain(entry), chain));
    const bool skip = SMACK_BUG("log_skip_record_checksum") || SMACK_BUG("log_skip_checksums");
    if (computed != stored_chain && !skip) {
        return core::fail(core::Errc::kCorrupt, "record {} fails its checksum", entry.index.value);
    }
    chain = computed;
    stream.remove_prefix(kRecordHeaderBytes + length);
    return entry;
}

}  // namespace

void encode_batch(uint64_t number, core::Index first, bool reset, std::span<const LogEntry> entries,
                  uint32_t& chain, core::Bytes& out) {
    core::put_u64(out, number);
    core::put_u64(out, first.value);
    core::put_u32(out, reset ? kResetFlag : 0);
    core::put_u32(out, static_cast<uint32_t>(entries.size()));
    core::put_u32(out, chain);
    core::put_u32(out, 0);  // reserved
    for (const LogEntry& entry : entries) {
        const core::Bytes header = header_without_chain(entry);
        chain = core::crc32c(*entry.payload, core::crc32c(header, chain));
        out.append(header, 0, 4);
        core::put_u32(out, chain);
        out.append(header, 4);
        out.append(*entry.payload);
    }
}

core::Result<Batch> decode_batch(core::BytesView stream, bool first_batch, uint32_t& chain) {
    if (stream.size() < kBatchHeaderBytes) return core::fail(core::Errc::kCorrupt, "batch header cut short");
    Batch batch;
    batch.number = core::get_u64(stream.data());
    batch.first.value = core::get_u64(stream.data() + 8);
    batch.reset = (core::get_u32(stream.data() + 16) & kResetFlag) != 0;
    const uint32_t count = core::get_u32(stream.data() + 20);
    const uint32_t chain_before = core::get_u32(stream.data() + 24);
    stream.remove_prefix(kBatchHeaderBytes);
    if (batch.first.value == 0)
        return core::fail(core::Errc::kCorrupt, "batch {} begins at index 0", batch.number);
    if (count > stream.size() / kRecordHeaderBytes) {
        return core::fail(core::Errc::kCorrupt, "batch {} is too short for {} records", batch.number, count);
    }
    if (first_batch) chain = chain_before;
    if (chain != chain_before) {
        return core::fail(core::Errc::kCorrupt, "batch {} does not continue the one before it", batch.number);
    }
    for (uint32_t i = 0; i < count; ++i) {
        TRY_ASSIGN(LogEntry entry, decode_record(stream, chain));
        if (entry.index.value != batch.first.value + i) {
            return core::fail(core::Errc::kCorrupt, "record {} stands where {} belongs", entry.index.value,
                              batch.first.value + i);
        }
        batch.entries.push_back(std::move(entry));
    }
    return batch;
}

}  // namespace smackd::storage
