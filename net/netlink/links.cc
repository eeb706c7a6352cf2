#include "net/netlink/links.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <format>

namespace smackd::net::netlink {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

constexpr uint16_t kMake = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

ifinfomsg device(int index, unsigned flags = 0) {
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    header.ifi_flags = flags;
    header.ifi_change = flags;
    return header;
}

core::Bytes address_bytes(uint32_t address) {
    const uint32_t network = htonl(address);
    return {reinterpret_cast<const char*>(&network), sizeof(network)};
}

uint32_t number_of(core::BytesView value) {
    return value.size() >= 4 ? core::get_u32(value.data()) : 0;
}

}  // namespace

Result<Links> Links::open() {
    TRY_ASSIGN(Socket socket, Socket::open(NETLINK_ROUTE));
    return Links(std::move(socket));
}

Result<void> Links::done(const Message& message, const std::string& what, int fine) {
    TRY_ASSIGN(const int error_number, socket_.request(message));
    if (error_number != 0 && error_number != fine) return fail_errno(error_number, what);
    return {};
}

Result<std::vector<Link>> Links::list() {
    std::vector<Link> links;
    Message message(RTM_GETLINK, NLM_F_DUMP);
    message.header(device(0));
    TRY(socket_.dump(message, [&](uint16_t type, core::BytesView body) {
        ifinfomsg header{};
        if (type != RTM_NEWLINK || body.size() < sizeof(header)) return;
        std::memcpy(&header, body.data(), sizeof(header));
        Link link;
        link.index = header.ifi_index;
        each_attribute(body.substr(sizeof(header)), [&](uint16_t attribute, core::BytesView value) {
            if (attribute == IFLA_IFNAME) link.name = std::string(value.substr(0, value.find('\0')));
            if (attribute == IFLA_MTU) link.mtu = number_of(value);
            if (attribute == IFLA_MASTER) link.master = static_cast<int>(number_of(value));
        });
        links.push_back(std::move(link));
    }));
    return links;
}

Result<Link> Links::find(const std::string& name) {
    TRY_ASSIGN(std::vector<Link> links, list());
    for (Link& link : links) {
        if (link.name == name) return std::move(link);
    }
    return fail(Errc::kNotFound, "no network device {}", name);
}

Result<void> Links::make_bridge(const std::string& name, uint32_t mtu, core::BytesView hardware) {
    Message message(RTM_NEWLINK, kMake);
    message.header(device(0)).text(IFLA_IFNAME, name).attribute(IFLA_ADDRESS, hardware);
    if (mtu != 0) message.u32(IFLA_MTU, mtu);
    message.begin(IFLA_LINKINFO).text(IFLA_INFO_KIND, "bridge").end();
    return done(message, "bridge " + name, EEXIST);
}

Result<void> Links::make_veth(const std::string& name, core::BytesView hardware, const std::string& peer,
                              core::BytesView peer_hardware, int peer_namespace, uint32_t mtu) {
    Message message(RTM_NEWLINK, kMake);
    message.header(device(0, IFF_UP)).text(IFLA_IFNAME, name).attribute(IFLA_ADDRESS, hardware);
    if (mtu != 0) message.u32(IFLA_MTU, mtu);
    message.begin(IFLA_LINKINFO).text(IFLA_INFO_KIND, "veth").begin(IFLA_INFO_DATA).begin(VETH_INFO_PEER);
    message.header(device(0))
        .text(IFLA_IFNAME, peer)
        .attribute(IFLA_ADDRESS, peer_hardware)
        .u32(IFLA_NET_NS_FD, static_cast<uint32_t>(peer_namespace));
    if (mtu != 0) message.u32(IFLA_MTU, mtu);
    message.end().end().end();
    return done(message, "veth " + name);
}

Result<void> Links::make_vxlan(const VxlanDevice& vxlan) {
    const uint16_t port = htons(vxlan.port);
    Message message(RTM_NEWLINK, kMake);
    message.header(device(0, IFF_UP)).text(IFLA_IFNAME, vxlan.name).attribute(IFLA_ADDRESS, vxlan.hardware);
    if (vxlan.mtu != 0) message.u32(IFLA_MTU, vxlan.mtu);
    message.begin(IFLA_LINKINFO).text(IFLA_INFO_KIND, "vxlan").begin(IFLA_INFO_DATA);
    message.u32(IFLA_VXLAN_ID, vxlan.vni).u8(IFLA_VXLAN_LEARNING, 0).attribute(IFLA_VXLAN_GBP, {});
    message.attribute(IFLA_VXLAN_PORT, {reinterpret_cast<const char*>(&port), sizeof(port)});
    if (vxlan.local != 0) message.attribute(IFLA_VXLAN_LOCAL, address_bytes(vxlan.local));
    message.end().end();
    return done(message, "vxlan " + vxlan.name);
}

Result<void> Links::make_wireguard(const std::string& name, uint32_t mtu) {
    Message message(RTM_NEWLINK, kMake);
    message.header(device(0)).text(IFLA_IFNAME, name);
    if (mtu != 0) message.u32(IFLA_MTU, mtu);
    message.begin(IFLA_LINKINFO).text(IFLA_INFO_KIND, "wireguard").end();
    return done(message, "wireguard " + name, EEXIST);
}

Result<void> Links::set_master(int index, int master) {
    Message message(RTM_NEWLINK, NLM_F_ACK);
    message.header(device(index)).u32(IFLA_MASTER, static_cast<uint32_t>(master));
    return done(message, std::format("master of device {}", index));
}

Result<void> Links::remove(const std::string& name) {
    Message message(RTM_DELLINK, NLM_F_ACK);
    message.header(device(0)).text(IFLA_IFNAME, name);
    return done(message, "removing " + name, ENODEV);
}

Result<void> Links::set_up(int index) {
    Message message(RTM_NEWLINK, NLM_F_ACK);
    message.header(device(index, IFF_UP));
    return done(message, std::format("device {} up", index));
}

Result<void> Links::add_address(int index, uint32_t address, uint32_t prefix_length) {
    Message message(RTM_NEWADDR, kMake);
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    header.ifa_prefixlen = static_cast<uint8_t>(prefix_length);
    header.ifa_index = static_cast<uint32_t>(index);
    message.header(header);
    message.attribute(IFA_LOCAL, address_bytes(address)).attribute(IFA_ADDRESS, address_bytes(address));
    if (prefix_length < 31) {
        const uint32_t host_bits = ~uint32_t{0} >> prefix_length;
        message.attribute(IFA_BROADCAST, address_bytes(address | host_bits));
    }
    return done(message, std::format("address of device {}", index), EEXIST);
}

Result<void> Links::add_host_route(int index, uint32_t address, uint32_t source) {
    return add_route(index, {address, 32}, 0, source);
}

namespace {

rtmsg route_header(const Route& route, uint32_t gateway) {
    rtmsg header{};
    header.rtm_family = AF_INET;
    header.rtm_dst_len = static_cast<uint8_t>(route.prefix_length);
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = gateway == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    if (gateway != 0) header.rtm_flags = RTNH_F_ONLINK;
    return header;
}

ndmsg neighbour_header(int index, uint8_t family, uint8_t flags) {
    ndmsg header{};
    header.ndm_family = family;
    header.ndm_ifindex = index;
    header.ndm_state = NUD_PERMANENT;
    header.ndm_flags = flags;
    return header;
}

constexpr uint16_t kReplace = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;

}  // namespace

Result<void> Links::add_route(int index, const Route& route, uint32_t gateway, uint32_t source) {
    Message message(RTM_NEWROUTE, kReplace);
    message.header(route_header(route, gateway)).attribute(RTA_DST, address_bytes(route.address));
    if (gateway != 0) message.attribute(RTA_GATEWAY, address_bytes(gateway));
    message.attribute(RTA_PREFSRC, address_bytes(source)).u32(RTA_OIF, static_cast<uint32_t>(index));
    return done(message, std::format("route by device {}", index));
}

Result<void> Links::remove_route(int index, const Route& route) {
    Message message(RTM_DELROUTE, NLM_F_ACK);
    rtmsg header = route_header(route, 0);
    header.rtm_scope = RT_SCOPE_NOWHERE;  // whichever it has
    message.header(header)
        .attribute(RTA_DST, address_bytes(route.address))
        .u32(RTA_OIF, static_cast<uint32_t>(index));
    return done(message, std::format("route by device {}", index), ESRCH);
}

Result<std::vector<Route>> Links::routes_by(int index) {
    std::vector<Route> routes;
    Message message(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg wanted{};
    wanted.rtm_family = AF_INET;
    message.header(wanted);
    TRY(socket_.dump(message, [&](uint16_t type, core::BytesView body) {
        rtmsg header{};
        if (type != RTM_NEWROUTE || body.size() < sizeof(header)) return;
        std::memcpy(&header, body.data(), sizeof(header));
        Route route{0, header.rtm_dst_len};
        int by = 0;
        each_attribute(body.substr(sizeof(header)), [&](uint16_t attribute, core::BytesView value) {
            if (attribute == RTA_DST) route.address = ntohl(number_of(value));
            if (attribute == RTA_OIF) by = static_cast<int>(number_of(value));
        });
        if (by == index && header.rtm_table == RT_TABLE_MAIN && header.rtm_type == RTN_UNICAST)
            routes.push_back(route);
    }));
    return routes;
}

Result<std::vector<Route>> Links::addresses_of(int index) {
    std::vector<Route> addresses;
    Message message(RTM_GETADDR, NLM_F_DUMP);
    ifaddrmsg wanted{};
    wanted.ifa_family = AF_INET;
    message.header(wanted);
    TRY(socket_.dump(message, [&](uint16_t type, core::BytesView body) {
        ifaddrmsg header{};
        if (type != RTM_NEWADDR || body.size() < sizeof(header)) return;
        std::memcpy(&header, body.data(), sizeof(header));
        if (header.ifa_index != static_cast<uint32_t>(index)) return;
        each_attribute(body.substr(sizeof(header)), [&](uint16_t attribute, core::BytesView value) {
            if (attribute == IFA_LOCAL) addresses.push_back({ntohl(number_of(value)), header.ifa_prefixlen});
        });
    }));
    return addresses;
}

Result<void> Links::remove_address(int index, const Route& address) {
    Message message(RTM_DELADDR, NLM_F_ACK);
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    header.ifa_prefixlen = static_cast<uint8_t>(address.prefix_length);
    header.ifa_index = static_cast<uint32_t>(index);
    message.header(header).attribute(IFA_LOCAL, address_bytes(address.address));
    return done(message, std::format("address of device {}", index), EADDRNOTAVAIL);
}

Result<void> Links::set_neighbour(int index, uint32_t address, core::BytesView hardware) {
    Message message(RTM_NEWNEIGH, kReplace);
    message.header(neighbour_header(index, AF_INET, 0))
        .attribute(NDA_DST, address_bytes(address))
        .attribute(NDA_LLADDR, hardware);
    return done(message, std::format("neighbour by device {}", index));
}

Result<void> Links::remove_neighbour(int index, uint32_t address) {
    Message message(RTM_DELNEIGH, NLM_F_ACK);
    message.header(neighbour_header(index, AF_INET, 0)).attribute(NDA_DST, address_bytes(address));
    return done(message, std::format("neighbour by device {}", index), ENOENT);
}

Result<void> Links::set_forwarding(int index, core::BytesView hardware, uint32_t to, uint16_t port) {
    const uint16_t network_port = htons(port);
    Message message(RTM_NEWNEIGH, kReplace);
    message.header(neighbour_header(index, AF_BRIDGE, NTF_SELF))
        .attribute(NDA_LLADDR, hardware)
        .attribute(NDA_DST, address_bytes(to))
        .attribute(NDA_PORT, {reinterpret_cast<const char*>(&network_port), sizeof(network_port)});
    return done(message, std::format("forwarding by device {}", index));
}

Result<void> Links::remove_forwarding(int index, core::BytesView hardware) {
    Message message(RTM_DELNEIGH, NLM_F_ACK);
    message.header(neighbour_header(index, AF_BRIDGE, NTF_SELF)).attribute(NDA_LLADDR, hardware);
    return done(message, std::format("forwarding by device {}", index), ENOENT);
}

Result<void> Links::add_default_route(uint32_t gateway) {
    Message message(RTM_NEWROUTE, kMake);
    rtmsg header{};
    header.rtm_family = AF_INET;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    message.header(header).attribute(RTA_GATEWAY, address_bytes(gateway));
    return done(message, "default route");
}

}  // namespace smackd::net::netlink
