// One number over every replicated row, so that checkers can compare servers.
#pragma once

#include <string>

#include "storage/state/files.h"

namespace smackd::storage::state {

/// 16 hex digits (FNV-1a, 64 bits) over tables, columns and values in key order.
core::Result<std::string> digest_of(OpenFiles& files);

/// The same per table, one "table digest" line each, to find where two servers differ.
core::Result<std::string> digest_report(OpenFiles& files);

}  // namespace smackd::storage::state
