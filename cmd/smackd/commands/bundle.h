// The command `smackd bundle`.
#pragma once

#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

std::vector<Command> bundle_commands();

}  // namespace smackd::cmd
