#include "storage/state/files.h"

#include "storage/sqlite/wal.h"
#include "storage/state/schema.h"

namespace smackd::storage::state {
namespace {

constexpr uint64_t kNoteBytesMax = 4096;
constexpr const char* kAppliedIndex = "SELECT applied_index FROM position";

/// Afterwards the main file is the whole database and its pages can be read back one by one.
core::Result<void> settle(sqlite::Database& database) {
    if (auto emptied = database.checkpoint(true); !emptied && emptied.error().code != core::Errc::kBusy) {
        // Without space for the checkpoint the WAL stays and is as good; its frames are checked when read.
        if (emptied.error().code != core::Errc::kDiskFull) return core::pass(std::move(emptied));
    } else if (emptied) {
        TRY(database.verify_pages());
    }
    return {};
}

core::Result<sqlite::Database> open_one(core::Disk& disk, const sqlite::Vfs& vfs, const std::string& path,
                                        core::Result<void> (*create)(sqlite::Database&)) {
    TRY(sqlite::check_wal(disk, path));
    TRY_ASSIGN(auto database, sqlite::Database::open(vfs, path, sqlite::Access::kCreate));
    TRY(create(database));
    TRY(settle(database));
    return database;
}

}  // namespace

StateFiles::StateFiles(core::Disk& disk, sqlite::Vfs& vfs, std::string directory)
    : disk_(disk), vfs_(vfs), directory_(std::move(directory)) {}

std::array<StateFiles::Place, 3> StateFiles::places() const {
    return {{{"realm.db", realm_path()}, {"secrets.db", secrets_path()}, {"state.db", state_path()}}};
}

core::Result<OpenFiles> StateFiles::open() {
    TRY(disk_.make_directory(directory_ + "/realm"));
    TRY(finish_install());
    TRY_ASSIGN(auto realm, open_one(disk_, vfs_, realm_path(), create_realm_schema));
    TRY_ASSIGN(auto secrets, open_one(disk_, vfs_, secrets_path(), create_secrets_schema));
    TRY_ASSIGN(auto state, open_one(disk_, vfs_, state_path(), create_state_schema));
    // As much as it needs, up to this: with SQLite's 2 MB each launch in a state of 100,000 tasks read pages
    // anew.
    TRY(state.execute("PRAGMA cache_size=-16384"));
    // state.db is not synced at a commit (the log is), these two are: it must never be ahead of them.
    TRY(realm.execute("PRAGMA synchronous=FULL"));
    TRY(secrets.execute("PRAGMA synchronous=FULL"));
    TRY(sync_folders());
    TRY_ASSIGN(const Position position, Position::load(state));
    TRY_ASSIGN(const int64_t realm_applied, realm.integer(kAppliedIndex));
    TRY_ASSIGN(const int64_t secrets_applied, secrets.integer(kAppliedIndex));
    OpenFiles files{std::move(state),
                    std::move(realm),
                    std::move(secrets),
                    position,
                    static_cast<uint64_t>(realm_applied),
                    static_cast<uint64_t>(secrets_applied)};
    if (files.realm_applied < position.realm_index || files.secrets_applied < position.secrets_index) {
        return core::fail(core::Errc::kCorrupt,
                          "{}: realm.db is at entry {} and secrets.db at {}, but state.db needs {} and {}",
                          directory_, realm_applied, secrets_applied, position.realm_index,
                          position.secrets_index);
    }
    return files;
}

core::Result<Position> StateFiles::check_snapshot(const std::string& directory) {
    Position position;
    uint64_t realm_applied = 0;
    uint64_t secrets_applied = 0;
    for (const Place& place : places()) {
        const std::string path = directory + "/" + place.name;
        TRY_ASSIGN(auto database, sqlite::Database::open(vfs_, path, sqlite::Access::kImmutable));
        TRY(database.verify_pages());
        TRY(database.verify_structure());
        TRY_ASSIGN(const int64_t applied, database.integer(kAppliedIndex));
        if (place.path == realm_path()) realm_applied = static_cast<uint64_t>(applied);
        if (place.path == secrets_path()) secrets_applied = static_cast<uint64_t>(applied);
        if (place.path == state_path()) {
            TRY_ASSIGN(position, Position::load(database));
        }
    }
    const bool fits = realm_applied >= position.realm_index && realm_applied <= position.applied_index &&
                      secrets_applied >= position.secrets_index && secrets_applied <= position.applied_index;
    if (fits) return position;
    return core::fail(core::Errc::kCorrupt, "snapshot {}: its three files are not of the same moment",
                      directory);
}

core::Result<void> StateFiles::install(const std::string& directory) {
    TRY(disk_.sync_directory(directory));
    TRY(core::write_file(disk_, note_path(), directory));
    return finish_install();
}

core::Result<void> StateFiles::finish_install() {
    TRY_ASSIGN(const bool interrupted, disk_.exists(note_path()));
    if (!interrupted) return {};
    TRY_ASSIGN(const core::Bytes directory, core::read_file(disk_, note_path(), kNoteBytesMax));
    TRY(move_in(directory));
    TRY(sync_folders());
    TRY(disk_.remove(note_path()));
    return disk_.sync_directory(directory_);
}

core::Result<void> StateFiles::move_in(const std::string& directory) {
    for (const Place& place : places()) {
        // The old WAL must be gone before the new file can be seen, or SQLite would replay it over that file.
        TRY(remove_if_there(place.path + "-wal"));
        TRY(remove_if_there(place.path + "-shm"));
        TRY(remove_if_there(place.path + sqlite::kBackfillMarkSuffix));
        vfs_.forget(place.path);
        vfs_.forget(place.path + "-wal");
        const std::string from = directory + "/" + place.name;
        TRY_ASSIGN(const bool still_there, disk_.exists(from));
        if (still_there) TRY(disk_.rename(from, place.path));
        vfs_.forget(place.path);  // again: a reader may have come in between
    }
    return {};
}

core::Result<void> StateFiles::set_aside() {
    for (const Place& place : places()) {
        for (const char* suffix : {"-wal", ""}) {
            const std::string path = place.path + suffix;
            vfs_.forget(path);
            TRY_ASSIGN(const bool there, disk_.exists(path));
            if (there) TRY(disk_.rename(path, path + ".damaged"));
        }
        TRY(remove_if_there(place.path + "-shm"));
        TRY(remove_if_there(place.path + sqlite::kBackfillMarkSuffix));
    }
    TRY(remove_if_there(note_path()));
    return sync_folders();
}

core::Result<void> StateFiles::remove_if_there(const std::string& path) {
    auto removed = disk_.remove(path);
    if (!removed && removed.error().code == core::Errc::kNotFound) return {};
    return removed;
}

core::Result<void> StateFiles::sync_folders() {
    TRY(disk_.sync_directory(directory_ + "/realm"));
    return disk_.sync_directory(directory_);
}

}  // namespace smackd::storage::state
