// The shim of one task: its parent, its log writer, its timer, its door. `smackd shim TASK_ID`, started by
// the launcher.
//
// It outlives the daemon and the launcher. What became of the task is in the task's directory before anybody
// is told. It ends when the task has ended and that was written.
#pragma once

#include <string>
#include <vector>

namespace smackd::agent {

inline constexpr unsigned kShimProtocolVersion = 1;

// What the launcher leaves open for it.
inline constexpr int kShimLock = 3;       ///< the task's lock, held
inline constexpr int kShimDirectory = 4;  ///< the task's directory
inline constexpr int kShimSocket = 5;     ///< listening on the task's socket
inline constexpr int kShimNetwork = 6;  ///< a network namespace for it, when kShimHasNetwork is its last word
inline constexpr const char* kShimHasNetwork = "network";

/// The process; returns its exit code.
int shim_main(const std::vector<std::string>& arguments);

}  // namespace smackd::agent
