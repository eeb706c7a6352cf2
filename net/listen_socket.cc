#include "net/listen_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <format>

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;

Result<void> prepare(int descriptor, ListenKind kind, const Address& at) {
    const int on = 1;
    // Connections of a process before us may still be in TIME_WAIT. Not for UDP, where two could then share a
    // port.
    if (kind == ListenKind::kTcp) ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (kind == ListenKind::kUdp)
        ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &kUdpReceiveBytes, sizeof kUdpReceiveBytes);
    const socklen_t size = at.raw()->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (::bind(descriptor, at.raw(), size) != 0) {
        if (errno == EADDRINUSE)
            return core::fail(Errc::kConflict, "{}: the address is in use", at.to_string());
        return core::fail_errno(errno, std::format("bind {}", at.to_string()));
    }
    if (kind == ListenKind::kTcp && ::listen(descriptor, kListenSocketBacklog) != 0)
        return core::fail_errno(errno, std::format("listen on {}", at.to_string()));
    return {};
}

}  // namespace

Result<int> open_listener(ListenKind kind, const Address& at) {
    const int type = kind == ListenKind::kTcp ? SOCK_STREAM : SOCK_DGRAM;
    const int descriptor = ::socket(at.raw()->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return core::fail_errno(errno, std::format("socket for {}", at.to_string()));
    if (auto ready = prepare(descriptor, kind, at); !ready) {
        ::close(descriptor);
        return core::pass(std::move(ready));
    }
    return descriptor;
}

Result<Address> bound_address(int descriptor) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    if (::getsockname(descriptor, raw, &length) != 0) return core::fail_errno(errno, "getsockname");
    if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6)
        return core::fail(Errc::kInvalid, "descriptor {} is no IP socket", descriptor);
    return Address::from_sockaddr(raw);
}

}  // namespace smackd::net
