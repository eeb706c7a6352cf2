#include "net/netlink/links.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
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
    Message message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
    rtmsg header{};
    header.rtm_family = AF_INET;
    header.rtm_dst_len = 32;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = RT_SCOPE_LINK;
    header.rtm_type = RTN_UNICAST;
    message.header(header)
        .attribute(RTA_DST, address_bytes(address))
        .attribute(RTA_PREFSRC, address_bytes(source))
        .u32(RTA_OIF, static_cast<uint32_t>(index));
    return done(message, std::format("route by device {}", index));
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
