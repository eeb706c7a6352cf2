#include "storage/state/realm_reader.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace smackd::storage::state {
namespace {

constexpr int kBusyAttemptsMax = 100;
constexpr std::chrono::milliseconds kBusyPause{10};

}  // namespace

core::Result<sqlite::Database*> RealmReader::open() {
    struct stat now = {};
    if (::stat(path_.c_str(), &now) != 0) return core::fail_errno(errno, path_);
    if (database_ && now.st_ino == inode_ && now.st_dev == device_) return &*database_;
    database_.reset();
    TRY_ASSIGN(auto database, sqlite::Database::open(vfs_, path_, sqlite::Access::kReadOnly));
    database_.emplace(std::move(database));
    inode_ = now.st_ino;
    device_ = now.st_dev;
    return &*database_;
}

core::Result<std::optional<core::Bytes>> RealmReader::get(std::string_view name) {
    for (int attempt = 1;; ++attempt) {
        auto found = get_once(name);
        const bool busy = !found && found.error().code == core::Errc::kBusy;
        if (!busy || attempt == kBusyAttemptsMax) return found;
        std::this_thread::sleep_for(kBusyPause);
    }
}

core::Result<std::optional<core::Bytes>> RealmReader::get_once(std::string_view name) {
    TRY_ASSIGN(sqlite::Database * database, open());
    TRY_ASSIGN(auto cursor, database->query("SELECT record FROM principals WHERE name = ?", {name}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<core::Bytes>();
    return std::optional<core::Bytes>(core::Bytes(cursor.row().blob(0)));
}

core::Result<void> RealmReader::iterate(const std::function<bool(std::string_view, core::BytesView)>& each) {
    TRY_ASSIGN(sqlite::Database * database, open());
    TRY_ASSIGN(auto cursor, database->query("SELECT name, record FROM principals ORDER BY name"));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more || !each(cursor.row().text(0), cursor.row().blob(1))) return {};
    }
}

}  // namespace smackd::storage::state
