// Url: http and https addresses as images and artifacts use them (RFC 3986).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::services::images {

inline constexpr size_t kUrlBytesMax = 8192;  ///< object stores sign their URLs at length

struct Url {
    bool tls = false;
    std::string host;  ///< lower case; IPv6 addresses without brackets
    uint16_t port = 0;
    std::string target = "/";  ///< path and query, as written

    /// kInvalid names the rule. User information is refused: it would be seen wherever the URL is shown. A
    /// fragment is cut off.
    static core::Result<Url> parse(std::string_view text);
    /// What a Location field means seen from here: absolute, "//host/path", "/path" or "path".
    core::Result<Url> follow(std::string_view location) const;

    /// Scheme, host and port: credentials for one are not sent to another.
    bool same_origin(const Url& other) const;
    /// Without the query, which may hold a signature: for messages.
    std::string shown() const;
};

}  // namespace smackd::services::images
