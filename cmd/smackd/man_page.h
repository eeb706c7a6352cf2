// Manual pages in roff (man(7)), made of the table of commands and of config_keys(): the text of --help.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

/// smackd(8): every command with what it takes.
std::string program_page(const std::vector<Command>& commands);
/// smackd.toml(5): every key of the configuration file.
std::string config_page();

}  // namespace smackd::cmd
