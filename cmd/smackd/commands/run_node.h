// Running a node in the foreground: what start and join --start share.
#pragma once

#include "cmd/smackd/command.h"
#include "cmd/smackd/config.h"

namespace smackd::cmd {

/// The configuration file with the flags of the command over it.
core::Result<Config> start_config(Context& context);

/// Runs the node of config.data_dir until a stop signal, or until it was removed from its cluster: kDenied
/// then, and kExitRemoved as exit code.
core::Result<void> run_node(Context& context, const Config& config);

}  // namespace smackd::cmd
