// Security identifiers of Windows directories: "S-1-5-21-1004336348-1177238915-682003330-512"
// (MS-DTYP 2.4.2).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::core {

inline constexpr size_t kSubAuthoritiesMax = 15;

/// The text of a SID of revision 1; `authority` has 48 bits at most. One text for one SID: from 2^32 on the
/// authority is written in hexadecimal, as MS-DTYP 2.4.2.1 has it.
std::string sid_to_text(uint64_t authority, std::span<const uint32_t> sub_authorities);

/// Whether `text` is a SID as sid_to_text writes it: kInvalid names `field` and the rule.
Result<void> check_sid(std::string_view field, std::string_view text);

}  // namespace smackd::core
