// Options and positionals of one command. The only place that knows CLI11.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

/// kInvalid names the option or argument and what is wrong; unknown options come with the nearest known one.
core::Result<Arguments> parse_options(const Command& command, std::vector<std::string> words);

}  // namespace smackd::cmd
