// The form of IP addresses and networks, without a resolver.
#pragma once

#include <string_view>

namespace smackd::apps {

/// IPv4 in dotted decimal or IPv6 (RFC 4291, without zone and embedded IPv4).
bool is_address(std::string_view text);
/// An address, or ADDRESS/LENGTH.
bool is_cidr(std::string_view text);

}  // namespace smackd::apps
