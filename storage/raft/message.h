// Raft's messages on the wire, checked: libraft asserts what this file refuses.
#pragma once

#include <memory>
#include <vector>

#include "core/ids.h"
#include "core/wire/raft.pb.h"
#include "storage/log/record.h"
#include "storage/raft/library.h"

namespace smackd::storage {

inline constexpr int kAppendEntriesMax = 1024;              ///< entries in one message
inline constexpr size_t kAppendBytesMax = 3 * 1024 * 1024;  ///< payload bytes in one message

/// kInvalid names the field and the rule. Holds for what any correct peer sends.
core::Result<wire::RaftMessage> parse_raft_message(core::NodeId from, core::BytesView bytes);

/// A request to append, ready to be stepped: payloads beside the array that libraft reads.
struct AppendRequest {
    core::Term term;
    core::Index prev_index;
    core::Term prev_term;
    core::Index leader_commit;
    std::vector<LogEntry> entries;  ///< prev_index + 1 and on
};
AppendRequest take_append_entries(wire::AppendEntries& message);

/// Everything but append requests and snapshots, whose contents libraft does not carry.
wire::RaftMessage to_wire(const raft_message& message);
/// The reverse, for the same kinds. `address` must outlive the result.
raft_message from_wire(const wire::RaftMessage& message, core::NodeId from, const char* address);

}  // namespace smackd::storage
