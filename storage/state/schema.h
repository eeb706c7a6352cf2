// The tables of the three files, and the migrations between feature levels.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/sqlite/database.h"

namespace smackd::storage::state {

/// Makes the tables of feature level 1 in an empty file; does nothing where they are.
core::Result<void> create_state_schema(sqlite::Database& database);
core::Result<void> create_realm_schema(sqlite::Database& database);
core::Result<void> create_secrets_schema(sqlite::Database& database);

/// Changes the tables of `level` - 1 to those of `level` (2 to kFeatureLevelMax) inside the open transaction.
core::Result<void> migrate(sqlite::Database& database, uint32_t level);

/// Every replicated row in key order, for comparing servers: a table's name and its query.
struct TableQuery {
    std::string_view table;
    const char* sql;
    uint32_t level = 1;  ///< feature level whose migration makes the table
};
const std::vector<TableQuery>& state_tables();
const std::vector<TableQuery>& realm_tables();
const std::vector<TableQuery>& secrets_tables();

}  // namespace smackd::storage::state
