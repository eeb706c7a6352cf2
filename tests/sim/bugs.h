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

/// Runs each line of a list ("NAME SEED") by `lifetime`, which gets the seed and returns what went wrong, and
/// prints caught or missed; 0 when all are caught. A seed that no longer catches its bug is replaced by a
/// search.
int run_listed_bugs(const std::string& list, const std::function<std::string(uint64_t)>& lifetime);

}  // namespace smackd::sim
