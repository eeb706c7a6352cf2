#include "storage/state/checkpointer.h"

namespace smackd::storage::state {

core::Result<void> Checkpointer::run() {
    const std::scoped_lock lock(mutex_);
    if (databases_.empty()) {
        std::vector<sqlite::Database> opened;
        for (const std::string& path : paths_) {
            TRY_ASSIGN(auto database, sqlite::Database::open(vfs_, path, sqlite::Access::kReadWrite));
            opened.push_back(std::move(database));
        }
        databases_ = std::move(opened);
    }
    for (sqlite::Database& database : databases_) {
        auto done = database.checkpoint(false);
        if (!done && done.error().code != core::Errc::kBusy) return core::pass(std::move(done));
    }
    return {};
}

void Checkpointer::close() {
    const std::scoped_lock lock(mutex_);
    databases_.clear();
}

}  // namespace smackd::storage::state
