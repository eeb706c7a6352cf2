// Letters of ASCII alone: what is compared without case in protocols, whatever the locale is.
#pragma once

#include <string>
#include <string_view>

namespace smackd::core {

/// 'A' to 'Z' become small; every other byte stays.
constexpr char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

}  // namespace smackd::core
