// What of names, ports and nodes an app has, and who may ask for it. Kept in the table app_claims.
#pragma once

#include "core/wire/app.pb.h"
#include "storage/state/outcome.h"
#include "storage/state/writer.h"

namespace smackd::storage::state {

/// Refuses definitions that need more than `launch` or `change` (core/apps/claims.h), and those that take
/// what another app has unless the actor may change that one, too.
Outcome<void> check_reach(Writer& writer, const wire::AppDefinition& app);

/// Replaces what the app has.
Outcome<void> write_claims(Writer& writer, const wire::AppDefinition& app);
Outcome<void> remove_claims(Writer& writer, const std::string& app_id);

/// Level kLevelOfNames: apps that are there get the claims that came with it.
core::Result<void> add_claims_of_names(sqlite::Database& state);

}  // namespace smackd::storage::state
