// Completions of shells, made of the table of commands.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

enum class Shell : uint8_t { kBash, kZsh, kFish };

/// A script that the shell loads to complete "smackd ...".
std::string completion(Shell shell, const std::vector<Command>& commands);

}  // namespace smackd::cmd
