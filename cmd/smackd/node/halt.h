// Ending what a node left running: its tasks, its edge and what they have of the host, while no daemon runs.
//
// A daemon that stops leaves all of it (it goes on, and the next daemon finds it); a machine that smackd is
// taken from must not keep it.
#pragma once

#include <vector>

#include "cmd/smackd/data_directory.h"
#include "core/logger.h"
#include "core/units.h"

namespace smackd::cmd {

/// A task that has not ended after its own grace, or this, is killed.
inline constexpr core::Duration kHaltGrace = core::seconds(60);

struct Halted {
    std::vector<std::string> tasks;  ///< that ran
    bool edge = false;               ///< ran
};

/// In order: the edge, so that nothing new reaches a task; the tasks, each with its own grace; the network
/// they were on. How each of them ended is told when the node starts again, which starts them anew. kConflict
/// while a daemon has the directory, kTimeout when a task does not end.
core::Result<Halted> halt(const DataDirectory& directory, core::Logger logger);

}  // namespace smackd::cmd
