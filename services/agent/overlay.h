// Tasks of other nodes: a VXLAN device (RFC 7348) with a route, a neighbour and a destination for each node
// that is known, written from the state; nothing is learnt, nothing is asked. Between nodes that both have
// WireGuard its packets go by a WireGuard device.
//
// Everything carries the agent's name: devices smxNAME and smwNAME. They stay when the daemon ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/ipv4.h"
#include "core/result.h"
#include "core/wire/task.pb.h"
#include "net/netlink/links.h"

namespace smackd::agent {

/// What VXLAN and, around it, WireGuard add to a packet over IPv4.
inline constexpr uint32_t kVxlanBytes = 50;
inline constexpr uint32_t kWireguardBytes = 60;

struct OverlayPeer {
    std::string name{};  ///< of the machine
    core::Ipv4Prefix subnet{};
    uint32_t address = 0;
    uint16_t port = 0;
    core::Bytes wireguard_key{};  ///< empty: packets go in the clear
    uint16_t wireguard_port = 0;

    bool encrypted() const { return !wireguard_key.empty(); }
    uint32_t gateway() const { return subnet.address + 1; }
    /// Of its WireGuard device.
    uint32_t underlay() const { return underlay_address(subnet); }
    static uint32_t underlay_address(const core::Ipv4Prefix& subnet) { return subnet.last() - 1; }
    bool operator==(const OverlayPeer&) const = default;
};

/// Tasks of one tenant may reach those of another.
struct TenantAllowed {
    uint32_t from = 0;
    uint32_t to = 0;
    uint16_t port = 0;  ///< 0: all
    uint8_t protocol = 0;
};

/// LauncherNetwork as values.
struct OverlayNetwork {
    uint32_t vni = 0;  ///< 0: no other nodes
    uint16_t port = 0;
    uint32_t address = 0;
    std::vector<OverlayPeer> peers{};
    std::vector<TenantAllowed> allowed{};
};
/// kInvalid names field and rule.
core::Result<OverlayNetwork> parse_network(const wire::LauncherNetwork& network);

/// Takes out peers whose subnet is `own` or overlaps one of `used`; says which.
std::vector<std::string> drop_overlapping(OverlayNetwork& network, const core::Ipv4Prefix& own,
                                          const std::vector<core::Ipv4Prefix>& used);

class Overlay {
 public:
    Overlay() = default;
    /// `name`: of the agent; `subnet`: of its tasks; `made`: what a device that is there was made for.
    Overlay(std::string name, core::Ipv4Prefix subnet, OverlayNetwork made)
        : name_(std::move(name)), subnet_(subnet), made_(std::move(made)) {}

    /// Makes the WireGuard device with the key of `key_path`, which is made (0600) when it is not there; the
    /// public key. kUnsupported when the kernel has no WireGuard.
    core::Result<core::Bytes> set_up_encryption(const std::string& key_path, uint16_t port);
    /// Devices and routes as `network` says; without peers there is no device. Packets of removed nodes have
    /// to be refused before.
    core::Result<void> set(const OverlayNetwork& network);

 private:
    core::Result<int> make_device(net::netlink::Links& links, const OverlayNetwork& network);
    core::Result<void> set_peer(net::netlink::Links& links, int device, const OverlayPeer& peer);
    core::Result<void> remove_others(net::netlink::Links& links, int device, const OverlayNetwork& network);
    core::Result<void> set_encrypted_peers(net::netlink::Links& links, const OverlayNetwork& network);

    std::string name_;
    core::Ipv4Prefix subnet_;
    bool encrypts_ = false;
    OverlayNetwork made_;  // what the device was made for
};

std::string overlay_device(const std::string& name);
std::string encrypted_device(const std::string& name);
/// Of the device that has this address, else of the one that leads out, else the usual one.
uint32_t outer_mtu(net::netlink::Links& links, uint32_t address);

}  // namespace smackd::agent
