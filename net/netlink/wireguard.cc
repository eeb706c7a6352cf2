#include "net/netlink/wireguard.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <cstring>

namespace smackd::net::netlink {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

genlmsghdr command_header(uint8_t command, uint8_t version) {
    genlmsghdr header{};
    header.cmd = command;
    header.version = version;
    return header;
}

template <class Struct>
core::BytesView bytes_of(const Struct& value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

uint16_t number_of(core::BytesView value) {
    uint16_t number = 0;
    if (value.size() >= sizeof(number)) std::memcpy(&number, value.data(), sizeof(number));
    return number;
}

std::string text_of(core::BytesView value) {
    return std::string(value.substr(0, value.find('\0')));
}

}  // namespace

Result<Wireguard> Wireguard::open() {
    TRY_ASSIGN(Socket socket, Socket::open(NETLINK_GENERIC));
    Message families(GENL_ID_CTRL, NLM_F_DUMP);
    families.header(command_header(CTRL_CMD_GETFAMILY, 1));
    uint16_t family = 0;
    TRY(socket.dump(families, [&](uint16_t, core::BytesView body) {
        if (body.size() < sizeof(genlmsghdr)) return;
        uint16_t id = 0;
        std::string name;
        each_attribute(body.substr(sizeof(genlmsghdr)), [&](uint16_t attribute, core::BytesView value) {
            if (attribute == CTRL_ATTR_FAMILY_ID) id = number_of(value);
            if (attribute == CTRL_ATTR_FAMILY_NAME) name = text_of(value);
        });
        if (name == WG_GENL_NAME) family = id;
    }));
    if (family == 0) return fail(Errc::kUnsupported, "this kernel has no WireGuard");
    return Wireguard(std::move(socket), family);
}

Message Wireguard::message(uint8_t command, uint16_t flags) const {
    Message made(family_, flags);
    made.header(command_header(command, WG_GENL_VERSION));
    return made;
}

Result<void> Wireguard::done(const Message& message, const std::string& device) {
    TRY_ASSIGN(const int error_number, socket_.request(message));
    if (error_number != 0) return fail_errno(error_number, "wireguard " + device);
    return {};
}

Result<void> Wireguard::set_key(const std::string& device, core::BytesView private_key, uint16_t port) {
    Message made = message(WG_CMD_SET_DEVICE, NLM_F_ACK);
    made.text(WGDEVICE_A_IFNAME, device).attribute(WGDEVICE_A_PRIVATE_KEY, private_key);
    made.attribute(WGDEVICE_A_LISTEN_PORT, bytes_of(port));
    return done(made, device);
}

Result<Wireguard::State> Wireguard::state(const std::string& device) {
    State state;
    Message made = message(WG_CMD_GET_DEVICE, NLM_F_DUMP);
    made.text(WGDEVICE_A_IFNAME, device);
    const auto take_peer = [&](core::BytesView peer) {
        each_attribute(peer, [&](uint16_t attribute, core::BytesView value) {
            if (attribute == WGPEER_A_PUBLIC_KEY) state.peers.emplace_back(value);
        });
    };
    TRY(socket_.dump(made, [&](uint16_t, core::BytesView body) {
        if (body.size() < sizeof(genlmsghdr)) return;
        each_attribute(body.substr(sizeof(genlmsghdr)), [&](uint16_t attribute, core::BytesView value) {
            if (attribute == WGDEVICE_A_PUBLIC_KEY) state.public_key = core::Bytes(value);
            if (attribute != WGDEVICE_A_PEERS) return;
            each_attribute(value, [&](uint16_t, core::BytesView peer) { take_peer(peer); });
        });
    }));
    return state;
}

Result<void> Wireguard::set_peer(const std::string& device, const WireguardPeer& peer) {
    sockaddr_in endpoint{};
    endpoint.sin_family = AF_INET;
    endpoint.sin_port = htons(peer.port);
    endpoint.sin_addr.s_addr = htonl(peer.address);
    const uint32_t inner = htonl(peer.inner);
    const uint16_t family = AF_INET;
    Message made = message(WG_CMD_SET_DEVICE, NLM_F_ACK);
    made.text(WGDEVICE_A_IFNAME, device).begin(WGDEVICE_A_PEERS).begin(0);
    made.attribute(WGPEER_A_PUBLIC_KEY, peer.public_key).u32(WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
    made.attribute(WGPEER_A_ENDPOINT, bytes_of(endpoint)).begin(WGPEER_A_ALLOWEDIPS).begin(0);
    made.attribute(WGALLOWEDIP_A_FAMILY, bytes_of(family)).attribute(WGALLOWEDIP_A_IPADDR, bytes_of(inner));
    made.u8(WGALLOWEDIP_A_CIDR_MASK, 32).end().end().end().end();
    return done(made, device);
}

Result<void> Wireguard::remove_peer(const std::string& device, core::BytesView public_key) {
    Message made = message(WG_CMD_SET_DEVICE, NLM_F_ACK);
    made.text(WGDEVICE_A_IFNAME, device).begin(WGDEVICE_A_PEERS).begin(0);
    made.attribute(WGPEER_A_PUBLIC_KEY, public_key).u32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME).end().end();
    return done(made, device);
}

}  // namespace smackd::net::netlink
