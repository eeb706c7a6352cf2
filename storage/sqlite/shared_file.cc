#include "storage/sqlite/shared_file.h"

#include <sqlite3.h>

#include <atomic>

namespace smackd::storage::sqlite {

int SharedFile::lock(Holder& holder, int level) {
    const std::scoped_lock lock(mutex_);
    if (holder.level >= level) return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
        if (pending_ || exclusive_) return SQLITE_BUSY;
        ++shared_;
        holder.level = level;
        return SQLITE_OK;
    }
    if (level == SQLITE_LOCK_RESERVED) {
        if (reserved_ || pending_ || exclusive_) return SQLITE_BUSY;
        reserved_ = true;
        holder.level = level;
        return SQLITE_OK;
    }
    if (holder.level < SQLITE_LOCK_RESERVED && (reserved_ || pending_)) return SQLITE_BUSY;
    if (holder.level < SQLITE_LOCK_PENDING) {
        reserved_ = true;
        pending_ = true;
        holder.level = SQLITE_LOCK_PENDING;
    }
    if (shared_ > 1) return SQLITE_BUSY;  // pending stays: no new reader gets in
    exclusive_ = true;
    holder.level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

int SharedFile::unlock(Holder& holder, int level) {
    const std::scoped_lock lock(mutex_);
    if (holder.level <= level) return SQLITE_OK;
    if (holder.level >= SQLITE_LOCK_RESERVED) reserved_ = pending_ = exclusive_ = false;
    if (level == SQLITE_LOCK_NONE && holder.level >= SQLITE_LOCK_SHARED) --shared_;
    holder.level = level;
    return SQLITE_OK;
}

bool SharedFile::reserved() {
    const std::scoped_lock lock(mutex_);
    return reserved_;
}

void* SharedFile::map(Holder& holder, int number, size_t bytes, bool extend) {
    const std::scoped_lock lock(mutex_);
    if (!holder.mapped) {
        holder.mapped = true;
        ++mapped_;
    }
    const auto index = static_cast<size_t>(number);
    while (extend && regions_.size() <= index) regions_.push_back(std::make_unique<char[]>(bytes));
    return index < regions_.size() ? regions_[index].get() : nullptr;
}

int SharedFile::take_slots(Holder& holder, int offset, int count, bool exclusive) {
    for (int i = offset; i < offset + count; ++i) {
        const int state = slots_[static_cast<size_t>(i)];
        if (exclusive ? state != 0 : state < 0) return SQLITE_BUSY;
    }
    for (int i = offset; i < offset + count; ++i) {
        int& state = slots_[static_cast<size_t>(i)];
        state = exclusive ? -1 : state + 1;
        const auto bit = static_cast<uint16_t>(1U << static_cast<unsigned>(i));
        uint16_t& held = exclusive ? holder.exclusive_slots : holder.shared_slots;
        held = static_cast<uint16_t>(held | bit);
    }
    return SQLITE_OK;
}

void SharedFile::release_slots(Holder& holder, uint16_t mask) {
    for (size_t i = 0; i < kSlots; ++i) {
        const unsigned bit = 1U << i;
        if ((mask & bit) == 0) continue;
        if ((holder.exclusive_slots & bit) != 0) slots_[i] = 0;
        if ((holder.shared_slots & bit) != 0) --slots_[i];
    }
    holder.exclusive_slots = static_cast<uint16_t>(holder.exclusive_slots & ~mask);
    holder.shared_slots = static_cast<uint16_t>(holder.shared_slots & ~mask);
}

int SharedFile::lock_slots(Holder& holder, int offset, int count, int flags) {
    const std::scoped_lock lock(mutex_);
    const auto mask =
        static_cast<uint16_t>(((1U << static_cast<unsigned>(count)) - 1U) << static_cast<unsigned>(offset));
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        release_slots(holder, mask);
        return SQLITE_OK;
    }
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    const unsigned already = exclusive ? holder.exclusive_slots : holder.shared_slots;
    if ((already & mask) == mask) return SQLITE_OK;
    return take_slots(holder, offset, count, exclusive);
}

void SharedFile::unmap(Holder& holder) {
    const std::scoped_lock lock(mutex_);
    if (!holder.mapped) return;
    release_slots(holder, 0xFF);
    holder.mapped = false;
    if (--mapped_ == 0) regions_.clear();
}

void SharedFile::barrier() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::scoped_lock lock(mutex_);  // what os_unix.c does: a lock is a barrier everywhere
}

}  // namespace smackd::storage::sqlite
