// Real sockets over libuv: listening, connecting, TCP and Unix streams, UDP.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "net/address.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/task.h"

namespace smackd::net {

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up (TCP_USER_TIMEOUT).
/// Without it a connection through a healed partition sleeps in TCP's retransmission back-off for minutes.
inline constexpr core::Duration kUnacknowledgedMax = std::chrono::seconds(30);

/// Connects to `to` within `limit`. TCP_NODELAY and keep-alive probes are on. kUnavailable when refused,
/// kTimeout.
Task<core::Result<std::unique_ptr<Stream>>> connect_tcp(
    Loop& loop, Address to, core::Duration limit, core::Duration unacknowledged_max = kUnacknowledgedMax);
/// Resolves `host` and tries its addresses in order, all within `limit`.
Task<core::Result<std::unique_ptr<Stream>>> connect_host(
    Loop& loop, HostPort to, core::Duration limit, core::Duration unacknowledged_max = kUnacknowledgedMax);
/// Connects to the Unix socket at `path` (at most 107 bytes).
Task<core::Result<std::unique_ptr<Stream>>> connect_unix(Loop& loop, std::string path);

/// Two ends of a socketpair, for tests and children.
core::Result<std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>> make_pair(Loop& loop);

inline constexpr int kListenBacklog = 512;

/// Accepts connections. Loop thread only.
class Listener {
 public:
    static core::Result<std::unique_ptr<Listener>> tcp(Loop& loop, const Address& at);
    /// Replaces a socket file that nobody listens on; `mode` are its permission bits.
    static core::Result<std::unique_ptr<Listener>> unix_socket(Loop& loop, const std::string& path,
                                                               uint32_t mode);

    virtual ~Listener() = default;
    /// Waits for the next connection. One acceptor at a time.
    virtual Task<core::Result<std::unique_ptr<Stream>>> accept() = 0;
    /// Stops listening; a pending accept ends with kCancelled. Idempotent.
    virtual Task<void> close() = 0;
    /// The bound address, with the port the kernel chose; "unix:PATH" for a Unix socket.
    virtual std::string address() const = 0;
    /// The port of a TCP listener, else 0.
    virtual uint16_t port() const = 0;
};

inline constexpr size_t kDatagramBytesMax = 65507;  ///< of UDP over IPv4

/// A bound UDP socket. Datagrams that arrive faster than they are received wait in the kernel and are lost
/// there.
class UdpSocket {
 public:
    struct Datagram {
        Address from;
        core::Bytes bytes;
    };
    static core::Result<std::unique_ptr<UdpSocket>> bind(Loop& loop, const Address& at);

    virtual ~UdpSocket() = default;
    virtual Task<core::Result<Datagram>> receive() = 0;
    /// Sends at once or not at all: kBusy when the kernel's buffer is full.
    virtual core::Result<void> send(const Address& to, core::BytesView bytes) = 0;
    virtual Task<void> close() = 0;
    virtual Address address() const = 0;
};

}  // namespace smackd::net
