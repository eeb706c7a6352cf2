#include "auth/realm_database.h"

#include <sys/stat.h>

#include <cerrno>

namespace smackd::auth {

using core::Bytes;
using core::Result;
namespace sqlite = storage::sqlite;

Result<std::unique_ptr<RealmDatabase>> RealmDatabase::open(std::string path) {
    std::unique_ptr<RealmDatabase> opened(new RealmDatabase(std::move(path)));
    TRY(opened->open_if_replaced());
    return opened;
}

Result<void> RealmDatabase::open_if_replaced() {
    struct stat about{};
    if (::stat(path_.c_str(), &about) != 0) return core::fail_errno(errno, path_);
    if (database_ && about.st_dev == device_ && about.st_ino == inode_) return {};
    database_.reset();
    TRY_ASSIGN(database_, sqlite::Database::open(*vfs_, path_, sqlite::Access::kReadOnly));
    device_ = about.st_dev;
    inode_ = about.st_ino;
    return {};
}

Result<std::optional<Bytes>> RealmDatabase::find(const std::string& name) {
    TRY(open_if_replaced());
    TRY_ASSIGN(sqlite::Cursor cursor,
               database_->query("SELECT record FROM principals WHERE name = ?", {name}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<Bytes>();
    return std::optional<Bytes>(cursor.row().blob(0));
}

}  // namespace smackd::auth
