// Marathon's timestamps and versions: "2015-09-30T09:09:17.614Z".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::marathon {

/// ISO 8601, UTC, milliseconds.
std::string format_timestamp(int64_t unix_ms);
/// What format_timestamp writes, with up to nine digits of fraction or none, and an offset or Z; kInvalid
/// otherwise.
core::Result<int64_t> parse_timestamp(std::string_view text);

}  // namespace smackd::marathon
