// smackd app plan: what a definition would change.
#pragma once

#include <string>

#include "cmd/smackd/command.h"
#include "core/json.h"

namespace smackd::cmd {

inline constexpr int kExitChanges = 3;  ///< of `plan --exit-code`: there are changes

core::Result<void> app_plan(Context& context);

/// The server's plan for people.
std::string plan_text(const core::Json& plan);

}  // namespace smackd::cmd
