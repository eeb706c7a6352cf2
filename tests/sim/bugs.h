// Planted bugs: does the simulator notice them?
#pragma once

#include <string>

namespace smackd::sim {

/// Plants a bug for the runs that follow; false in a build without them.
bool plant(const std::string& name);

/// Runs each line of tests/sim/planted.txt ("NAME SEED") and prints caught or missed; 0 when all are caught.
int run_all_bugs();

}  // namespace smackd::sim
