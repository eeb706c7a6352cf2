// `config ...` and what else prints a table of ours: `completion`, `man`.
#pragma once

#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

std::vector<Command> config_commands();

}  // namespace smackd::cmd
