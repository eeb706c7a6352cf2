#include "services/agent/overlay.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <format>

#include "net/crypto/random.h"
#include "net/netlink/wireguard.h"
#include "services/agent/bridge_rules.h"
#include "services/agent/descriptor.h"
#include "services/agent/small_file.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;
using net::netlink::Link;
using net::netlink::Links;
using net::netlink::Route;
using net::netlink::Wireguard;

constexpr uint32_t kUsualMtu = 1500;
constexpr uint32_t kVniMax = 0xffffff;

Result<uint16_t> port_of(uint32_t number, const char* field, bool none = false) {
    if (number > 65535 || (number == 0 && !none))
        return fail(Errc::kInvalid, "{}: {} is no port", field, number);
    return static_cast<uint16_t>(number);
}

Result<OverlayPeer> parse_peer(const wire::NetworkPeer& from) {
    OverlayPeer peer;
    const auto subnet = core::parse_ipv4_prefix(from.subnet());
    const auto address = core::parse_ipv4(from.address());
    if (!subnet || subnet->length > 29)
        return fail(Errc::kInvalid, "peers.subnet: '{}' is no prefix of addresses", from.subnet());
    if (!address) return fail(Errc::kInvalid, "peers.address: '{}' is no IPv4 address", from.address());
    peer.name = from.name();
    peer.subnet = *subnet;
    peer.address = *address;
    TRY_ASSIGN(peer.port, port_of(from.port(), "peers.port"));
    TRY_ASSIGN(peer.wireguard_port,
               port_of(from.wireguard_port(), "peers.wireguard_port", from.wireguard_key().empty()));
    peer.wireguard_key = from.wireguard_key();
    if (!peer.wireguard_key.empty() && peer.wireguard_key.size() != net::netlink::kWireguardKeyBytes)
        return fail(Errc::kInvalid, "peers.wireguard_key: must be {} bytes",
                    net::netlink::kWireguardKeyBytes);
    return peer;
}

Result<core::Bytes> private_key(const std::string& path) {
    if (auto known = read_small_file(path); known && known->size() == net::netlink::kWireguardKeyBytes)
        return *known;
    core::Bytes key = net::crypto::random_bytes(net::netlink::kWireguardKeyBytes);
    const std::string temporary = path + ".new";
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file || ::write(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()) ||
        ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0)
        return fail_errno(errno == 0 ? ENOSPC : errno, path);
    return key;
}

}  // namespace

Result<OverlayNetwork> parse_network(const wire::LauncherNetwork& from) {
    OverlayNetwork network;
    for (const wire::TenantAllowance& one : from.allowed()) {
        TRY_ASSIGN(const uint16_t port, port_of(one.port(), "allowed.port", true));
        const bool udp = one.protocol() == wire::PublishedPort::UDP;
        network.allowed.push_back(
            {one.from(), one.to(), port, static_cast<uint8_t>(udp ? IPPROTO_UDP : IPPROTO_TCP)});
    }
    if (from.vni() == 0) return network;
    network.vni = from.vni();
    if (network.vni > kVniMax) return fail(Errc::kInvalid, "vni: {} has more than 24 bits", network.vni);
    TRY_ASSIGN(network.port, port_of(from.port(), "port"));
    const auto address = core::parse_ipv4(from.address());
    if (!address) return fail(Errc::kInvalid, "address: '{}' is no IPv4 address", from.address());
    network.address = *address;
    for (const wire::NetworkPeer& peer : from.peers()) {
        TRY_ASSIGN(OverlayPeer parsed, parse_peer(peer));
        network.peers.push_back(std::move(parsed));
    }
    return network;
}

std::vector<std::string> drop_overlapping(OverlayNetwork& network, const core::Ipv4Prefix& own,
                                          const std::vector<core::Ipv4Prefix>& used) {
    std::vector<std::string> problems;
    std::erase_if(network.peers, [&](const OverlayPeer& peer) {
        const auto found = std::ranges::find_if(
            used, [&](const core::Ipv4Prefix& other) { return other.overlaps(peer.subnet); });
        if (found == used.end() && !own.overlaps(peer.subnet) && own.length == peer.subnet.length)
            return false;
        const core::Ipv4Prefix& other = found == used.end() ? own : *found;
        problems.push_back(
            std::format("tasks of {}: their subnet {}/{} overlaps with {}/{}, which this machine uses "
                        "otherwise; give one of "
                        "the two nodes another tasks.network",
                        peer.name, core::format_ipv4(peer.subnet.address), peer.subnet.length,
                        core::format_ipv4(other.address), other.length));
        return true;
    });
    return problems;
}

uint32_t outer_mtu(Links& links, uint32_t address) {
    const auto all = links.list();
    if (!all) return kUsualMtu;
    for (const Link& link : *all) {
        const auto addresses = links.addresses_of(link.index);
        if (!addresses || address == 0) continue;
        for (const Route& one : *addresses) {
            if (one.address == address) return link.mtu;
        }
    }
    const std::string routes = read_small_file("/proc/net/route").value_or("");
    for (size_t at = 0; at < routes.size();) {
        const std::string line = routes.substr(at, routes.find('\n', at) - at);
        at += line.size() + 1;
        const size_t tab = line.find('\t');
        if (tab == std::string::npos || line.substr(tab + 1, 8) != "00000000") continue;
        const auto link = std::ranges::find(*all, line.substr(0, tab), &Link::name);
        if (link != all->end()) return link->mtu;
    }
    return kUsualMtu;
}

// ---- encryption

Result<core::Bytes> Overlay::set_up_encryption(const std::string& key_path, uint16_t port) {
    TRY_ASSIGN(Links links, Links::open());
    const std::string device = encrypted_device(name_);
    if (auto made = links.make_wireguard(device, 0); !made)
        return fail(Errc::kUnsupported, "this kernel has no WireGuard ({})", made.error().message);
    TRY_ASSIGN(Wireguard wireguard, Wireguard::open());
    TRY_ASSIGN(const core::Bytes key, private_key(key_path));
    TRY(wireguard.set_key(device, key, port));
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6", "1");
    TRY_ASSIGN(const Link link, links.find(device));
    TRY(links.set_up(link.index));
    TRY_ASSIGN(const std::vector<Route> addresses, links.addresses_of(link.index));
    const uint32_t own = OverlayPeer::underlay_address(subnet_);
    for (const Route& one : addresses) {
        if (one.address != own) TRY(links.remove_address(link.index, one));
    }
    TRY(links.add_address(link.index, own, 32));
    TRY_ASSIGN(Wireguard::State state, wireguard.state(device));
    encrypts_ = true;
    return std::move(state.public_key);
}

Result<void> Overlay::set_encrypted_peers(Links& links, const OverlayNetwork& network) {
    if (!encrypts_) return {};
    const std::string device = encrypted_device(name_);
    TRY_ASSIGN(Wireguard wireguard, Wireguard::open());
    TRY_ASSIGN(const Wireguard::State state, wireguard.state(device));
    for (const core::Bytes& key : state.peers) {
        const bool known = std::ranges::any_of(
            network.peers, [&](const OverlayPeer& peer) { return peer.wireguard_key == key; });
        if (!known) TRY(wireguard.remove_peer(device, key));
    }
    TRY_ASSIGN(const Link link, links.find(device));
    for (const OverlayPeer& peer : network.peers) {
        if (!peer.encrypted()) continue;
        TRY(wireguard.set_peer(device,
                               {peer.wireguard_key, peer.address, peer.wireguard_port, peer.underlay()}));
        TRY(links.add_route(link.index, {peer.underlay(), 32}, 0, OverlayPeer::underlay_address(subnet_)));
    }
    return {};
}

// ---- the device and what it leads to

Result<int> Overlay::make_device(Links& links, const OverlayNetwork& network) {
    const std::string name = overlay_device(name_);
    const bool same =
        made_.vni == network.vni && made_.port == network.port && made_.address == network.address;
    const uint32_t outer = outer_mtu(links, network.address);
    net::netlink::VxlanDevice device{name, network.vni, network.port};
    device.mtu = outer - kVxlanBytes - (encrypts_ ? kWireguardBytes : 0);
    // With two kinds of peers the route says which source a packet has.
    device.local = encrypts_ ? 0 : network.address;
    device.hardware = hardware_address(subnet_.address);
    if (const auto there = links.find(name); there) {
        if (same && there->mtu == device.mtu) return there->index;
        TRY(links.remove(name));
    }
    if (auto made = links.make_vxlan(device); !made) {
        return fail(
            Errc::kUnsupported,
            "no VXLAN device for tasks of other nodes: {}; does the kernel have the module vxlan, and "
            "does nothing else of the machine use UDP port {} (tasks.vxlan_port)?",
            made.error().message, network.port);
    }
    made_ = network;
    // No IPv6: the rules are about IPv4.
    (void)write_small_file("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", "1");
    TRY_ASSIGN(const Link link, links.find(name));
    return link.index;
}

Result<void> Overlay::set_peer(Links& links, int device, const OverlayPeer& peer) {
    const std::string hardware = hardware_address(peer.subnet.address);
    const uint32_t to = peer.encrypted() ? peer.underlay() : peer.address;
    TRY(links.set_forwarding(device, hardware, to, peer.port));
    // The subnet's own address stands for the node on the link.
    TRY(links.set_neighbour(device, peer.subnet.address, hardware));
    return links.add_route(device, {peer.subnet.address, peer.subnet.length}, peer.subnet.address,
                           subnet_.address + 1);
}

Result<void> Overlay::remove_others(Links& links, int device, const OverlayNetwork& network) {
    TRY_ASSIGN(const std::vector<Route> routes, links.routes_by(device));
    for (const Route& route : routes) {
        const bool known = std::ranges::any_of(network.peers, [&](const OverlayPeer& peer) {
            return Route{peer.subnet.address, peer.subnet.length} == route;
        });
        if (known) continue;
        TRY(links.remove_route(device, route));
        TRY(links.remove_neighbour(device, route.address));
        TRY(links.remove_forwarding(device, hardware_address(route.address)));
    }
    return {};
}

Result<void> Overlay::set(const OverlayNetwork& network) {
    TRY_ASSIGN(Links links, Links::open());
    if (network.vni == 0 || network.peers.empty()) {
        TRY(set_encrypted_peers(links, network));
        made_ = {};
        return links.remove(overlay_device(name_));
    }
    TRY(set_encrypted_peers(links, network));
    TRY_ASSIGN(const int device, make_device(links, network));
    TRY(remove_others(links, device, network));
    for (const OverlayPeer& peer : network.peers) TRY(set_peer(links, device, peer));
    made_ = network;
    return {};
}

}  // namespace smackd::agent
