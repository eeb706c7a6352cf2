// The servers of a cluster as an entry of the log, in libraft's encoding.
#pragma once

#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "storage/replica.h"

struct raft_configuration;

namespace smackd::storage {

inline constexpr size_t kServersMax = 64;
inline constexpr size_t kServerAddressBytesMax = 255;

/// kInvalid: no server, too many, id 0, an id or address twice, an address empty or too long.
core::Result<core::Bytes> encode_configuration(const std::vector<Server>& servers);
/// Strict: libraft's own decoder trusts its input. kCorrupt.
core::Result<std::vector<Server>> decode_configuration(core::BytesView bytes);

/// Copies between the two forms; the raft_configuration is the caller's to close.
core::Result<void> to_raft(const std::vector<Server>& servers, raft_configuration& out);
std::vector<Server> from_raft(const raft_configuration& configuration);

uint64_t count_voters(const std::vector<Server>& servers);

}  // namespace smackd::storage
