// One command, from its bytes to its result.
#pragma once

#include "core/ids.h"
#include "storage/state/writer.h"

namespace smackd::storage::state {

struct CommandRules {
    uint32_t feature_level_max = kFeatureLevelMax;  ///< of this build
    Retention retention;
    uint64_t skew_for_planted_bug = 0;  ///< differs between instances; used by a planted bug only
};

/// Applies one serialized wire::Command of an entry of `term` and returns the serialized wire::CommandResult.
/// The order of checks: parse, feature level, known already?, size, proposer's term, actor and policy,
/// expected versions, then each change. An Error (kDiskFull, kIo, kCorrupt, kUnsupported) means that the
/// writer must be rolled back.
core::Result<core::Bytes> apply_command(Writer& writer, const CommandRules& rules, core::Term term,
                                        core::BytesView bytes);

}  // namespace smackd::storage::state
