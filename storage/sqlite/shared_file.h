// What the connections of one process share about one database file: locks and the WAL index.
//
// The same rules as SQLite's os_unix.c, without the operating system: file locks as in "File Locking And
// Concurrency In SQLite Version 3", eight slots of the WAL index as in walformat.html section 2.3.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace smackd::storage::sqlite {

class SharedFile {
 public:
    /// One connection's part in the file; belongs to the connection's thread.
    struct Holder {
        int level = 0;              ///< SQLITE_LOCK_NONE .. SQLITE_LOCK_EXCLUSIVE
        uint16_t shared_slots = 0;  ///< bit per WAL index slot
        uint16_t exclusive_slots = 0;
        bool mapped = false;  ///< uses the WAL index
    };

    /// All return SQLite result codes: SQLITE_OK or SQLITE_BUSY.
    int lock(Holder& holder, int level);
    int unlock(Holder& holder, int level);
    bool reserved();

    /// Region `number` of the WAL index, made of zeros when absent and `extend`; else nullptr.
    void* map(Holder& holder, int number, size_t bytes, bool extend);
    int lock_slots(Holder& holder, int offset, int count, int flags);
    /// The last one out drops the index, so that the next one in rebuilds it from the WAL.
    void unmap(Holder& holder);
    void barrier();

 private:
    static constexpr size_t kSlots = 8;  // SQLITE_SHM_NLOCK
    int take_slots(Holder& holder, int offset, int count, bool exclusive);
    void release_slots(Holder& holder, uint16_t mask);

    std::mutex mutex_;
    int shared_ = 0;
    bool reserved_ = false;
    bool pending_ = false;
    bool exclusive_ = false;
    std::array<int, kSlots> slots_{};  // > 0: that many shared, -1: exclusive
    std::vector<std::unique_ptr<char[]>> regions_;
    int mapped_ = 0;
};

}  // namespace smackd::storage::sqlite
