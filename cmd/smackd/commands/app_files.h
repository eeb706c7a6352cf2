// What the commands about apps share: their files and addresses.
#pragma once

#include <string>

#include "core/json.h"
#include "core/result.h"

namespace smackd::cmd {

/// The JSON in a file; "-" is standard input.
core::Result<core::Json> read_definition(const std::string& file);

}  // namespace smackd::cmd
