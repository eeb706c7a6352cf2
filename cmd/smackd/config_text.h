// The configuration as text: the example file, and what is in force. Made of config_keys().
#pragma once

#include <string>

#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"

namespace smackd::cmd {

/// A configuration file in which every key stands as a comment, with its built-in value or an example.
std::string example_config();

/// The key's value as it stands in the file; empty when the node finds it out.
std::string value_text(const ConfigKey& key, const Config& config);

/// All settings that have a value, as a configuration file: "listen.api = ...", a line each.
std::string settings_text(const Config& config);
/// Where a daemon that runs notes the settings it has, of its flags and of the environment too.
std::string running_settings_path(const DataDirectory& directory);

}  // namespace smackd::cmd
