// The shim of one task: its parent, its log writer, its timer, its door. `smackd shim TASK_ID`, started by
// the launcher.
//
// It outlives the daemon and the launcher. What became of the task is in the task's directory before anybody
// is told. It ends when the task has ended and that was written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace smackd::agent {

inline constexpr unsigned kShimProtocolVersion = 1;

// What the launcher leaves open for it.
inline constexpr int kShimLock = 3;       ///< the task's lock, held
inline constexpr int kShimDirectory = 4;  ///< the task's directory
inline constexpr int kShimSocket = 5;     ///< listening on the task's socket

/// What it is called while it waits for a task, and how long that word is: it becomes `shim TASK_ID` then.
inline constexpr std::string_view kReadyShim = "ready-shim";
inline constexpr size_t kReadyWordBytes = 212;
/// The word after it: the task will have a network namespace of its own.
inline constexpr const char* kShimOwnNetwork = "network";
inline constexpr int kShimOrders = 3;  ///< where the descriptors above come from, in this order

/// The process, with its task's descriptors; returns its exit code.
int shim_main(const std::vector<std::string>& arguments);
/// The same, from before it has them. `word`: its first argument, kReadyWordBytes long.
int ready_shim_main(char* word, bool own_network);

}  // namespace smackd::agent
