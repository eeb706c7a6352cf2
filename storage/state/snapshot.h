// The three files pinned at one moment, to be copied while apply goes on.
#pragma once

#include <string>

#include "core/disk.h"
#include "storage/state/files.h"

namespace smackd::storage::state {

class PinnedState {
 public:
    /// Begins read transactions on connections of its own; on the thread that commits, so that all three see
    /// the same.
    static core::Result<PinnedState> pin(const StateFiles& files);
    /// Writes realm.db, secrets.db and state.db into `directory` (made when absent) and syncs them. Any one
    /// thread.
    core::Result<void> copy_to(core::Disk& disk, const sqlite::Vfs& vfs, const std::string& directory);

 private:
    PinnedState(sqlite::Database realm, sqlite::Database secrets, sqlite::Database state)
        : realm_(std::move(realm)), secrets_(std::move(secrets)), state_(std::move(state)) {}
    sqlite::Database realm_;
    sqlite::Database secrets_;
    sqlite::Database state_;
};

}  // namespace smackd::storage::state
