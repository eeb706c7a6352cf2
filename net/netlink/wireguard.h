// WireGuard devices by generic netlink (linux/wireguard.h). In the namespace of the socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "net/netlink/socket.h"

namespace smackd::net::netlink {

inline constexpr size_t kWireguardKeyBytes = 32;

struct WireguardPeer {
    core::Bytes public_key{};
    uint32_t address = 0;  ///< where it is reached, host byte order
    uint16_t port = 0;
    uint32_t inner = 0;  ///< the one address it may use inside
    bool operator==(const WireguardPeer&) const = default;
};

class Wireguard {
 public:
    /// kUnsupported when the kernel has no WireGuard: a device has to be made before, as that loads it.
    static core::Result<Wireguard> open();

    core::Result<void> set_key(const std::string& device, core::BytesView private_key, uint16_t port);
    struct State {
        core::Bytes public_key{};
        std::vector<core::Bytes> peers{};  ///< their public keys
    };
    core::Result<State> state(const std::string& device);
    /// One that is there keeps its session.
    core::Result<void> set_peer(const std::string& device, const WireguardPeer& peer);
    core::Result<void> remove_peer(const std::string& device, core::BytesView public_key);

 private:
    Wireguard(Socket socket, uint16_t family) : socket_(std::move(socket)), family_(family) {}
    Message message(uint8_t command, uint16_t flags) const;
    core::Result<void> done(const Message& message, const std::string& device);

    Socket socket_;
    uint16_t family_ = 0;
};

}  // namespace smackd::net::netlink
