// The KDC child's view of realm.db: looks principals up, never writes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "storage/sqlite/database.h"

namespace smackd::auth {

/// Sees each commit of the server's process at the next find(). Belongs to one thread.
class RealmDatabase {
 public:
    /// `path` as this process sees it; kNotFound when there is no realm here (yet).
    static core::Result<std::unique_ptr<RealmDatabase>> open(std::string path);
    RealmDatabase(const RealmDatabase&) = delete;
    RealmDatabase& operator=(const RealmDatabase&) = delete;
    ~RealmDatabase() = default;

    /// The serialized wire::PrincipalRecord of "alice@REALM", or nothing. Opens the file anew when an
    /// installed snapshot has replaced it.
    core::Result<std::optional<core::Bytes>> find(const std::string& name);

 private:
    explicit RealmDatabase(std::string path) : path_(std::move(path)) {}
    core::Result<void> open_if_replaced();

    std::string path_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_unix();
    std::optional<storage::sqlite::Database> database_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace smackd::auth
