// Takes out of a text what may be a secret: for logs and findings that leave the machine in a support bundle.
//
// A guess by form, the last line of defence: what is known to be secret is not given to it in the first
// place.
#pragma once

#include <string>
#include <string_view>

namespace smackd::core {

inline constexpr std::string_view kRedacted = "[redacted]";

/// Replaces values behind words such as password, secret, token or Authorization (as "key=value", "key:
/// value" and in JSON), PEM blocks, tokens (JWT), recovery keys, the user part of URLs, and long texts in
/// base64. Digests in hexadecimal stay. Line by line.
std::string redact(std::string_view text);

}  // namespace smackd::core
