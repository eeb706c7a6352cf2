// Moves committed pages from the WALs into the database files, away from the consensus thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/sqlite/database.h"

namespace smackd::storage::state {

/// Has connections of its own, opened when first needed. Any thread; one call at a time.
class Checkpointer {
 public:
    Checkpointer(const sqlite::Vfs& vfs, std::vector<std::string> paths)
        : vfs_(vfs), paths_(std::move(paths)) {}

    /// One passive checkpoint of each file; waits for no reader and no writer. kBusy of SQLite is no error.
    core::Result<void> run();
    /// Closes the connections, for files that are about to be replaced. Waits for a run() to end.
    void close();

 private:
    const sqlite::Vfs& vfs_;
    const std::vector<std::string> paths_;
    std::mutex mutex_;
    std::vector<sqlite::Database> databases_;
};

}  // namespace smackd::storage::state
