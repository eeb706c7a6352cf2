// What commands answered, kept so that a command proposed twice is applied once.
//
// A result is forgotten by rules that all servers follow alike: by how many results came after it, by the
// leader's stamped time, and when its client has gone far beyond it. What the rules call forgotten is not
// found, whether or not its row is deleted yet; so it does not matter when rows are deleted.
#pragma once

#include <optional>

#include "storage/state/writer.h"

namespace smackd::storage::state {

/// The serialized wire::CommandResult of (client, sequence), or nothing when it is unknown or forgotten.
core::Result<std::optional<core::Bytes>> find_result(Writer& writer, const Retention& retention,
                                                     uint64_t client, uint64_t sequence);

core::Result<void> record_result(Writer& writer, const Retention& retention, const wire::Command& command,
                                 const core::Bytes& result);

/// Deletes up to `retention.expire_per_command` rows each of results and feed, and audit rows beyond their
/// limit.
core::Result<void> expire(Writer& writer, const Retention& retention);

}  // namespace smackd::storage::state
