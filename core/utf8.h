// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace smackd::core {

/// The length of the sequence that `text` begins with, 1 to 4; 0 when it is empty or ill-formed.
size_t utf8_sequence(std::string_view text);

bool is_utf8(std::string_view text);

/// The text with U+FFFD in the place of each byte that is not part of a well-formed sequence.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace smackd::core
