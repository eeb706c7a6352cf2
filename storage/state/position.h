// Where the state stands: the one row of table `position`, in memory.
#pragma once

#include "core/ids.h"
#include "storage/sqlite/database.h"

namespace smackd::storage::state {

struct Position {
    uint64_t applied_index = 0;
    uint64_t realm_index = 0;
    uint64_t secrets_index = 0;
    uint64_t epoch = 1;
    uint64_t revision = 0;
    uint32_t feature_level = 1;
    int64_t time_ms = 0;
    uint64_t feed_floor = 0;
    uint64_t result_number = 0;

    core::Revision current() const { return {epoch, revision}; }

    static core::Result<Position> load(sqlite::Database& state);
    core::Result<void> store(sqlite::Database& state) const;
};

}  // namespace smackd::storage::state
