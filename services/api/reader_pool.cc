#include "services/api/reader_pool.h"

namespace smackd::services {

bool ReaderPool::is_broken(const core::Error& error) {
    return error.code == core::Errc::kIo || error.code == core::Errc::kCorrupt;
}

std::unique_ptr<Readers> ReaderPool::take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
        return std::make_unique<Readers>(storage::state::StateReader(options_),
                                         storage::state::SqlReader(options_, clock_));
    }
    std::unique_ptr<Readers> readers = std::move(free_.back());
    free_.pop_back();
    return readers;
}

void ReaderPool::give_back(std::unique_ptr<Readers> readers) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(readers));
}

}  // namespace smackd::services
