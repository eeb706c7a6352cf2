// realm.db as the KDC's process sees it: this one file, read-only, followed when a snapshot replaces it.
//
// The process needs to read realm.db, realm.db-wal and realm.db-shm and to find them by name (after a chroot:
// the folder is its root). Over the unix VFS; a state machine of another process writes. One thread at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "storage/sqlite/database.h"

namespace smackd::storage::state {

class RealmReader {
 public:
    /// `path` is realm.db. It may be absent yet: then get() and iterate() are kNotFound.
    RealmReader(const sqlite::Vfs& vfs, std::string path) : vfs_(vfs), path_(std::move(path)) {}

    /// The serialized wire::PrincipalRecord of "name@REALM", or nothing. Waits up to a second while the
    /// writer is just setting the file up: never on a loop.
    core::Result<std::optional<core::Bytes>> get(std::string_view name);
    /// All principals by name, until `each` returns false.
    core::Result<void> iterate(
        const std::function<bool(std::string_view name, core::BytesView record)>& each);

 private:
    core::Result<std::optional<core::Bytes>> get_once(std::string_view name);
    core::Result<sqlite::Database*> open();

    const sqlite::Vfs& vfs_;
    std::string path_;
    std::optional<sqlite::Database> database_;
    uint64_t device_ = 0;
    uint64_t inode_ = 0;
};

}  // namespace smackd::storage::state
