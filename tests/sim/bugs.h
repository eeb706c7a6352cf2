// Planted bugs: does the simulator notice them?
#pragma once

#include <functional>
#include <string>

namespace smackd::sim {

/// Plants a bug for the runs that follow; false in a build without them.
bool plant(const std::string& name);

/// How `run` ends with the bug planted: what it returns, empty when all is well. In a child, since a bug may
/// also end in a failed assertion or in a loop without end.
std::string failure_with(const std::string& bug, const std::function<std::string()>& run);

/// Runs each line of tests/sim/planted.txt ("NAME SEED") and prints caught or missed; 0 when all are caught.
int run_all_bugs();

}  // namespace smackd::sim
