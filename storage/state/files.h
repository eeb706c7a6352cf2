// The three database files of one server: where they lie, how they are opened, replaced and given up.
#pragma once

#include <array>
#include <string>

#include "core/disk.h"
#include "storage/sqlite/database.h"
#include "storage/state/position.h"

namespace smackd::storage::state {

/// Open connections for writing, and what the files said when they were opened.
struct OpenFiles {
    sqlite::Database state;
    sqlite::Database realm;
    sqlite::Database secrets;
    Position position;
    uint64_t realm_applied =
        0;  ///< may be ahead of position.applied_index after a crash, never behind realm_index
    uint64_t secrets_applied = 0;
};

class StateFiles {
 public:
    /// realm.db has a folder of its own, because the KDC's process sees that folder only.
    StateFiles(core::Disk& disk, sqlite::Vfs& vfs, std::string directory);

    std::string state_path() const { return directory_ + "/state.db"; }
    std::string realm_path() const { return directory_ + "/realm/realm.db"; }
    std::string secrets_path() const { return directory_ + "/secrets.db"; }
    const sqlite::Vfs& vfs() const { return vfs_; }

    /// Makes what is absent, finishes an interrupted install, empties the WALs and reads every page.
    /// kCorrupt: damage, or a file that lost what another one builds on.
    core::Result<OpenFiles> open();

    /// Checks the files of a snapshot folder: pages, trees, and that they belong together. kCorrupt
    /// otherwise.
    core::Result<Position> check_snapshot(const std::string& directory);
    /// Moves the files of a checked snapshot folder into place, all or none even when interrupted: a note
    /// says first where they come from. No connection of ours may be open; those of readers keep the old
    /// files.
    core::Result<void> install(const std::string& directory);
    /// Sets the files aside as *.damaged (replacing older ones), so that open() starts from nothing.
    core::Result<void> set_aside();

 private:
    struct Place {
        const char* name;  // in a snapshot folder
        std::string path;  // in use
    };
    std::array<Place, 3> places() const;
    std::string note_path() const { return directory_ + "/install"; }
    core::Result<void> finish_install();
    core::Result<void> move_in(const std::string& directory);
    core::Result<void> remove_if_there(const std::string& path);
    core::Result<void> sync_folders();

    core::Disk& disk_;
    sqlite::Vfs& vfs_;
    std::string directory_;
};

}  // namespace smackd::storage::state
