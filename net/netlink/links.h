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

/// By one device: to a prefix.
struct Route {
    uint32_t address = 0;
    uint32_t prefix_length = 32;
    bool operator==(const Route&) const = default;
};

struct VxlanDevice {
    std::string name;
    uint32_t vni = 0;    ///< 24 bits
    uint16_t port = 0;   ///< UDP
    uint32_t local = 0;  ///< packets have this source; 0: what the route says
    uint32_t mtu = 0;
    core::Bytes hardware{};  ///< its MAC address
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
    /// One that learns nothing from what it gets, and carries the packets' marks (group policy). Up. An error
    /// when there is one of that name, or one that takes the same packets.
    core::Result<void> make_vxlan(const VxlanDevice& device);
    /// Not up. kUnsupported when the kernel has no WireGuard; one that is there already is fine.
    core::Result<void> make_wireguard(const std::string& name, uint32_t mtu);
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
    /// The same to a prefix; `gateway` 0: on the link, else that address there, whether or not it is in a
    /// network of the device.
    core::Result<void> add_route(int index, const Route& route, uint32_t gateway, uint32_t source);
    /// One that is not there is fine, as with the two below.
    core::Result<void> remove_route(int index, const Route& route);
    core::Result<std::vector<Route>> routes_by(int index);
    /// IPv4 addresses of the device, with its prefixes' lengths.
    core::Result<std::vector<Route>> addresses_of(int index);
    core::Result<void> remove_address(int index, const Route& address);
    /// The hardware address of a neighbour on the link, for ever.
    core::Result<void> set_neighbour(int index, uint32_t address, core::BytesView hardware);
    core::Result<void> remove_neighbour(int index, uint32_t address);
    /// Where a VXLAN device sends what goes to that hardware address.
    core::Result<void> set_forwarding(int index, core::BytesView hardware, uint32_t to, uint16_t port);
    core::Result<void> remove_forwarding(int index, core::BytesView hardware);

 private:
    explicit Links(Socket socket) : socket_(std::move(socket)) {}
    core::Result<void> done(const Message& message, const std::string& what, int fine = 0);

    Socket socket_;
};

}  // namespace smackd::net::netlink
