// `sim --cluster ...`: lifetimes of whole clusters, planted bugs.
#pragma once

namespace smackd::sim::cluster {

/// The arguments after --cluster. Returns the exit code.
int run(int argc, char** argv);

}  // namespace smackd::sim::cluster
