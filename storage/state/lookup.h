// Questions that apply asks of state.db.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/policy.h"
#include "storage/sqlite/database.h"

namespace smackd::storage::state {

/// The version of a row by the feed's kind and key; 0 when there is none, nullopt for a kind that has no rows
/// at this feature level.
core::Result<std::optional<uint64_t>> row_version(sqlite::Database& state, std::string_view kind,
                                                  std::string_view key, uint32_t feature_level);

/// The realm of the cluster; empty before InitCluster.
core::Result<std::string> cluster_realm(sqlite::Database& state);

/// The groups that name `user` as a member, and those whose directory group their last ticket named; by name.
core::Result<std::vector<std::string>> groups_of(sqlite::Database& state, std::string_view user,
                                                 uint32_t feature_level);
/// The rules that can grant `user` something, by id.
core::Result<std::vector<core::Rule>> rules_for(sqlite::Database& state, std::string_view user,
                                                uint32_t feature_level);

/// The rules that speak of tasks, by id.
core::Result<std::vector<core::Rule>> rules_of_tasks(sqlite::Database& state);

/// "view,launch" <-> bits of core::Action, always in the order of the bits.
std::string actions_to_text(uint8_t actions);
core::Result<uint8_t> actions_from_text(std::string_view text);

}  // namespace smackd::storage::state
