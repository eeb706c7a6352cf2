#include "services/api/reader_pool.h"

namespace smackd::services {

bool ReaderPool::is_broken(const core::Error& error) {
    return error.code == core::Errc::kIo || error.code == core::Errc::kCorrupt;
}

core::Result<std::unique_ptr<StateReads>> ReaderPool::take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) return open_();
    std::unique_ptr<StateReads> reader = std::move(free_.back());
    free_.pop_back();
    return reader;
}

void ReaderPool::give_back(std::unique_ptr<StateReads> reader) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(reader));
}

}  // namespace smackd::services
