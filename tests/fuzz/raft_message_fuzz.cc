// What another server may send as a Raft message: whatever passes can be given to libraft, which asserts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/assert.h"
#include "core/wire/serialize.h"
#include "storage/raft/configuration.h"
#include "storage/raft/message.h"

using namespace smackd;

namespace {

constexpr core::NodeId kSender{2};

void check_configuration(std::string_view bytes) {
    const auto servers = storage::decode_configuration(bytes);
    if (!servers) return;
    const auto encoded = storage::encode_configuration(*servers);
    SMACK_ASSERT(encoded.has_value());
    SMACK_ASSERT(*storage::encode_configuration(*storage::decode_configuration(*encoded)) == *encoded);
    raft_configuration configuration;
    SMACK_ASSERT(storage::to_raft(*servers, configuration).has_value());
    raft_configuration_close(&configuration);
}

void check_append(wire::AppendEntries& append) {
    SMACK_ASSERT(append.entries_size() <= storage::kAppendEntriesMax);
    const storage::AppendRequest request = storage::take_append_entries(append);
    uint64_t index = request.prev_index.value;
    uint64_t term = request.prev_term.value;
    for (const storage::LogEntry& entry : request.entries) {
        SMACK_ASSERT(entry.index.value == ++index);
        SMACK_ASSERT(entry.term.value >= term && entry.term.value <= request.term.value);
        term = entry.term.value;
        if (entry.type == storage::EntryType::kConfiguration)
            SMACK_ASSERT(storage::decode_configuration(*entry.payload).has_value());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    check_configuration(bytes);
    auto message = storage::parse_raft_message(kSender, bytes);
    if (!message) return 0;
    if (message->has_append_entries()) {
        check_append(*message->mutable_append_entries());
    } else if (message->has_install_snapshot()) {
        check_configuration(message->install_snapshot().manifest().configuration());
    } else if (!message->has_chunk_request() && !message->has_chunk_reply()) {
        // There and back: nothing is lost on the way to libraft's structures.
        const wire::RaftMessage again = storage::to_wire(storage::from_wire(*message, kSender, "a:1"));
        wire::RaftMessage plain;
        SMACK_ASSERT(plain.ParseFromString(wire::serialize(again)));
        SMACK_ASSERT(again.body_case() == message->body_case());
        if (message->has_request_vote())
            SMACK_ASSERT(again.request_vote().candidate() == kSender.value &&
                         again.request_vote().term() != 0);
    }
    return 0;
}
