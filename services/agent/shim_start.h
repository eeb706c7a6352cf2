// Starts a task's shim: the binary that runs, with the descriptors that shim.h names.
#pragma once

#include <string>

#include "core/result.h"

namespace smackd::agent {

/// None of them may be one that another becomes. `network` is -1 when the shim makes its own, or needs none.
struct ShimDescriptors {
    int lock = -1;
    int directory = -1;
    int socket = -1;
    int network = -1;
    int log = -1;  ///< its standard output and error
};

/// Its pid; it is the caller's child.
core::Result<int> start_shim(std::string task_id, const ShimDescriptors& descriptors);

}  // namespace smackd::agent
