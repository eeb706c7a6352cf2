// Running a node in the foreground: what start and join --start share.
#pragma once

#include "cmd/smackd/command.h"
#include "cmd/smackd/config.h"

namespace smackd::cmd {

/// The configuration file with the flags of the command over it.
core::Result<Config> start_config(Context& context);

/// Runs the node of config.data_dir until a stop signal.
core::Result<void> run_node(const Config& config);

}  // namespace smackd::cmd
