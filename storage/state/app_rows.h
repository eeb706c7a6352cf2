// Rows of applications and tasks as apply reads them, and who may write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/policy.h"
#include "core/wire/app.pb.h"
#include "storage/state/lookup.h"
#include "storage/state/writer.h"

namespace smackd::storage::state {

inline constexpr int kAppsMax = 20'000;        ///< definitions, and groups
inline constexpr int kAppVersionsMax = 25;     ///< kept of each app, as Marathon does
inline constexpr int kDeploymentsMax = 1'000;  ///< running at once
inline constexpr int kTasksMax = 200'000;
inline constexpr size_t kDefinitionBytesMax = 256 * 1024;
inline constexpr size_t kDeploymentBytesMax = 1024 * 1024;
inline constexpr size_t kTaskBytesMax = 64 * 1024;
inline constexpr int kPortRangesMax = 16;  ///< of one node
/// From this feature level on a removed task's row is in the feed, so that its node alone is told; and what
/// nodes say of themselves is checked in full.
inline constexpr uint32_t kLevelOfOwnedRemovals = 5;

core::Result<std::optional<wire::Task>> task_row(sqlite::Database& state, std::string_view id);
core::Result<std::optional<wire::Deployment>> deployment_row(sqlite::Database& state, std::string_view id);

/// The version of an app's row; 0 when there is none.
core::Result<uint64_t> app_version(Writer& writer, std::string_view id);

/// "TASK_RUNNING" and so on; "" for no status yet.
std::string_view task_state_name(wire::TaskState state);

/// Whether the command's actor may do `action` on an app or group: the system may, a user or a running task
/// by the rules on the id as path, nobody else.
Outcome<void> may_on_app(Writer& writer, core::Action action, const std::string& id);
/// The same for one of launch, change and kill.
Outcome<void> may_touch_app(Writer& writer, const std::string& id);

}  // namespace smackd::storage::state
