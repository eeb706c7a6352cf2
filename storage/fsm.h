// The state machine as consensus sees it: committed entries go in, results come out, files hold the state.
//
// One thread calls all of it. The real one is storage/state (three SQLite files); nothing here knows SQLite.
#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/ids.h"
#include "core/result.h"

namespace smackd::storage {

/// A snapshot being taken: `copy` runs on a worker and fills `directory` with files that hold exactly the
/// state at `index`; it may take long and must not touch the live connections.
struct SnapshotTask {
    core::Index index;
    core::Callback<core::Result<void>(const std::string& directory)> copy;
};

class Fsm {
 public:
    virtual ~Fsm() = default;

    /// Applies the commands of one log entry inside the open transaction (begun when there is none).
    ///
    /// `commands` are serialized wire::Command; one serialized wire::CommandResult comes back for each. A
    /// refused command is a result, never an Error. An Error (kDiskFull, kIo, kUnsupported, kCorrupt) means
    /// nothing of the entry and nothing since the last commit() was kept: the caller raises an alarm and
    /// applies again from applied()+1 later. Entries at or below applied() are skipped by the caller; a file
    /// that is ahead of the others skips its own part.
    virtual core::Result<std::vector<core::Bytes>> apply(core::Index index, core::Term term,
                                                         const std::vector<core::BytesView>& commands) = 0;

    /// Commits what apply() staged; readers and the feed see it from here on. Results may be told only after.
    virtual core::Result<void> commit() = 0;

    /// The last index whose effects are committed in every file (the lowest of the three).
    virtual core::Index applied() const = 0;

    /// The highest command feature level this build can apply.
    virtual uint32_t feature_level_max() const = 0;

    /// Pins the committed state at applied() for copying. Only one task at a time.
    virtual core::Result<SnapshotTask> begin_snapshot() = 0;

    /// Replaces the state by the files of a snapshot folder (renamed into place) and reopens them; checks
    /// them first: kCorrupt leaves the old state in use.
    virtual core::Result<void> install_snapshot(const std::string& directory) = 0;

    /// Replaces the state by an empty one at index 0, for a log that reaches back to its first entry.
    virtual core::Result<void> reset() {
        return core::fail(core::Errc::kUnsupported, "the state cannot be reset");
    }

    /// Reads back every page; kCorrupt names file and what is damaged.
    virtual core::Result<void> check_integrity() = 0;
};

}  // namespace smackd::storage
