// Trees of files that a task may have written: walked without following links, and not deeper than a sane
// task nests them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/agent/step.h"

namespace smackd::agent {

inline constexpr int kTreeDepthMax = 256;

/// Gives the tree to uid:gid. Files with several hard links are left alone: the other name may be somebody
/// else's. What goes away meanwhile is no error.
Stepped<void> own_tree(const std::string& path, uint32_t uid, uint32_t gid);
/// Bytes on disk of a tree, on its own file system; nothing when it is nested too deeply to be measured.
std::optional<uint64_t> tree_bytes(const std::string& path);

}  // namespace smackd::agent
