// SHA-1 (RFC 3174), for Mesos-DNS' canonical names only: it protects nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace smackd::core::dns {

std::array<uint8_t, 20> sha1(std::string_view bytes);

}  // namespace smackd::core::dns
