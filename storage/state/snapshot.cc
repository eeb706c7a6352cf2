#include "storage/state/snapshot.h"

#include "core/planted.h"

namespace smackd::storage::state {
namespace {

core::Result<sqlite::Database> pinned(const StateFiles& files, const std::string& path) {
    TRY_ASSIGN(auto database, sqlite::Database::open(files.vfs(), path, sqlite::Access::kReadOnly));
    TRY(database.begin_read());
    return database;
}

core::Result<void> copy_one(sqlite::Database& source, core::Disk& disk, const sqlite::Vfs& vfs,
                            const std::string& path) {
    // A file left by an interrupted copy would be taken for the beginning of this one.
    if (auto removed = disk.remove(path); !removed && removed.error().code != core::Errc::kNotFound)
        return removed;
    TRY_ASSIGN(auto copy, sqlite::Database::open_copy(vfs, path));
    TRY(source.copy_to(copy));
    // Pages may each be sound and not fit together; such a state must not become the one that others start
    // from.
    TRY(copy.verify_structure());
    if (SMACK_BUG("snapshot_misses_table")) TRY(copy.execute("DELETE FROM settings"));
    source.rollback();  // lets the WAL be reset as soon as this file is copied
    return {};
}

}  // namespace

core::Result<PinnedState> PinnedState::pin(const StateFiles& files) {
    TRY_ASSIGN(auto realm, pinned(files, files.realm_path()));
    TRY_ASSIGN(auto secrets, pinned(files, files.secrets_path()));
    TRY_ASSIGN(auto state, pinned(files, files.state_path()));
    return PinnedState(std::move(realm), std::move(secrets), std::move(state));
}

core::Result<void> PinnedState::copy_to(core::Disk& disk, const sqlite::Vfs& vfs,
                                        const std::string& directory) {
    TRY(disk.make_directory(directory));
    TRY(copy_one(realm_, disk, vfs, directory + "/realm.db"));
    TRY(copy_one(secrets_, disk, vfs, directory + "/secrets.db"));
    TRY(copy_one(state_, disk, vfs, directory + "/state.db"));
    return disk.sync_directory(directory);
}

}  // namespace smackd::storage::state
