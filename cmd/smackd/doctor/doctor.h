// `smackd doctor`: what can be wrong with a node or a client, looked at one by one, each with its cause and
// with what to do about it. README.md of cmd/smackd has the order of the files.
#pragma once

#include "cmd/smackd/command.h"
#include "cmd/smackd/doctor/finding.h"

namespace smackd::cmd {

/// Runs all checks that apply: those of the machine and of the data directory when a node is or shall be
/// here, those of a server's API when one answers. Takes at most about a minute when everything hangs.
Findings examine(Context& context);

/// The options it reads, beside those of kServerOptions.
std::vector<Option> doctor_options();

}  // namespace smackd::cmd
