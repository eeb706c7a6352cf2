// May this actor make these changes? Asked again in apply, with the rules as they are at that entry.
#pragma once

#include "core/policy.h"
#include "core/wire/command.pb.h"
#include "storage/sqlite/database.h"
#include "storage/state/outcome.h"

namespace smackd::storage::state {

/// The user name of "alice@REALM" when REALM is the cluster's and the user is not disabled; kDenied says why
/// not.
Outcome<std::string> user_of(sqlite::Database& state, const std::string& principal);

/// The task of "task:ID" with its app, while it runs; kDenied says why not.
Outcome<core::Subject> task_subject(sqlite::Database& state, const std::string& principal);

/// Refuses with kUnauthenticated (no actor), kDenied (says what is missing) or kInvalid (malformed actor).
/// SYSTEM may everything; USER what the rules grant plus the own password and the own tokens; MACHINE its own
/// node row; TASK changes of applications, for which the rules on its app ask.
Outcome<void> authorize(sqlite::Database& state, const wire::Command& command, uint32_t feature_level);

}  // namespace smackd::storage::state
