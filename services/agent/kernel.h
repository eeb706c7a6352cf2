// What the kernel must have for tasks.
#pragma once

#include "core/result.h"

namespace smackd::agent {

/// kUnsupported with the kernel's release and what is needed: id-mapped mounts (Linux 5.12; the tests of
/// tasks run on 5.14 and newer).
core::Result<void> check_kernel();

}  // namespace smackd::agent
