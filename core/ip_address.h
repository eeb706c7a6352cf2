// IP addresses and networks as values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::core {

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is the IPv4 address.
class IpAddress {
 public:
    IpAddress() = default;
    /// kInvalid when `text` is neither "10.0.0.7" nor "fd00::7".
    static Result<IpAddress> parse(std::string_view text);
    /// From 4 or 16 bytes in network order.
    static IpAddress from_bytes(BytesView bytes);

    bool is_v4() const { return size_ == 4; }
    /// 4 or 16 bytes in network order; none of a default-made one.
    BytesView bytes() const { return {bytes_.data(), size_}; }
    std::string to_string() const;
    bool is_loopback() const;
    auto operator<=>(const IpAddress&) const = default;

 private:
    std::array<char, 16> bytes_{};
    uint8_t size_ = 0;
};

/// "10.0.0.0/8"; a single address is a network of one.
class IpNetwork {
 public:
    /// kInvalid names the rule. Bits behind the prefix are ignored.
    static Result<IpNetwork> parse(std::string_view text);
    bool contains(const IpAddress& address) const;

 private:
    IpAddress base_;
    unsigned prefix_bits_ = 0;
};

struct IpAddressHash {
    size_t operator()(const IpAddress& address) const;
};

}  // namespace smackd::core
