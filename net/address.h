// Socket addresses: IPv4 and IPv6 with port, parsing and printing, host name resolution.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "net/loop.h"
#include "net/task.h"

namespace smackd::net {

/// An IP address with a port.
class Address {
 public:
    Address() = default;
    /// "127.0.0.1:80", "[::1]:80", ":80" (every IPv6 and IPv4 address); port 0 lets the kernel choose.
    /// kInvalid names the rule.
    static core::Result<Address> parse(std::string_view text);
    static Address from_sockaddr(const sockaddr* from);

    /// As parse() reads it.
    std::string to_string() const;
    /// Without port and brackets.
    std::string host() const;
    uint16_t port() const;
    bool is_loopback() const;
    const sockaddr* raw() const;

 private:
    sockaddr_storage storage_{};
};

struct HostPort {
    std::string host;
    uint16_t port = 0;
};
/// "name:80", "10.0.0.1:80", "[::1]:80". kInvalid names the rule.
core::Result<HostPort> parse_host_port(std::string_view text);

/// The addresses of `host` (a name or an address), in the system's order. kNotFound when there is none,
/// kTimeout after `limit`. The look-up itself runs on libuv's threads and cannot be stopped; its late answer
/// is dropped.
Task<core::Result<std::vector<Address>>> resolve(Loop& loop, std::string host, uint16_t port,
                                                 core::Duration limit);

}  // namespace smackd::net
