// The launcher: a small process beside the daemon that makes shims. `smackd launcher`, a child of the daemon.
//
// The daemon is large and has threads; copying it for each task would cost 100 ms. The launcher holds nothing
// that must last: when the daemon or it dies, the shims go on, and the next daemon starts a new one, which
// first removes orphans.
#pragma once

#include <string>
#include <vector>

namespace smackd::agent {

/// The socket to the daemon. Its end is the launcher's end.
inline constexpr int kLauncherSocket = 3;

/// The process; returns its exit code.
int launcher_main(const std::vector<std::string>& arguments);

}  // namespace smackd::agent
