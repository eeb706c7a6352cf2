// Network devices, addresses and routes by rtnetlink: what a bridge for tasks takes. In the namespace of the
// socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "net/netlink/socket.h"

namespace smackd::net::netlink {

struct Link {
    int index = 0;
    std::string name{};
    uint32_t mtu = 0;
    int master = 0;
};

/// IPv4 addresses are numbers in host byte order.
class Links {
 public:
    static core::Result<Links> open();

    core::Result<std::vector<Link>> list();
    /// kNotFound.
    core::Result<Link> find(const std::string& name);
    /// One that is there already is fine. `hardware`: its MAC address, six bytes; without one of its own a
    /// bridge changes it as ports come and go.
    core::Result<void> make_bridge(const std::string& name, uint32_t mtu, core::BytesView hardware);
    /// A pair: `name` here, up, with the MAC address `hardware`; `peer` with `peer_hardware` in the namespace
    /// that `peer_namespace` is open on.
    core::Result<void> make_veth(const std::string& name, core::BytesView hardware, const std::string& peer,
                                 core::BytesView peer_hardware, int peer_namespace, uint32_t mtu);
    /// The device is a port of that one; 0: of none.
    core::Result<void> set_master(int index, int master);
    core::Result<void> remove(const std::string& name);
    core::Result<void> set_up(int index);
    /// One that is there already is fine.
    core::Result<void> add_address(int index, uint32_t address, uint32_t prefix_length);
    core::Result<void> add_default_route(uint32_t gateway);
    /// To one address, on the link; what comes from here has the address `source`. One that is there is
    /// replaced.
    core::Result<void> add_host_route(int index, uint32_t address, uint32_t source);

 private:
    explicit Links(Socket socket) : socket_(std::move(socket)) {}
    core::Result<void> done(const Message& message, const std::string& what, int fine = 0);

    Socket socket_;
};

}  // namespace smackd::net::netlink
