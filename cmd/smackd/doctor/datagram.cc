#include "cmd/smackd/doctor/datagram.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace smackd::cmd {

using core::Errc;

core::Result<core::Bytes> ask_by_datagram(const net::Address& to, core::BytesView question,
                                          core::Duration limit) {
    const sockaddr* at = to.raw();
    const socklen_t length = at->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    const int descriptor = ::socket(at->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return core::fail_errno(errno, "a UDP socket");
    core::Result<core::Bytes> answer = core::fail(Errc::kTimeout, "{} does not answer", to.to_string());
    // Connected, so that the kernel passes on that nobody listens.
    if (::connect(descriptor, at, length) != 0) {
        answer = core::fail(Errc::kUnavailable, "no way to {}: {}", to.host(), std::strerror(errno));
        ::close(descriptor);
        return answer;
    }
    const auto half = static_cast<int>(std::chrono::duration_cast<core::milliseconds>(limit).count() / 2);
    for (int round = 0; round < 2 && !answer; ++round) {
        [[maybe_unused]] const ssize_t sent = ::send(descriptor, question.data(), question.size(), 0);
        pollfd ready{descriptor, POLLIN, 0};
        if (::poll(&ready, 1, half) <= 0) continue;
        char buffer[64 * 1024];
        const ssize_t got = ::recv(descriptor, buffer, sizeof buffer, 0);
        if (got > 0) answer = core::Bytes(buffer, static_cast<size_t>(got));
        if (got >= 0) continue;
        answer = errno == ECONNREFUSED
                     ? core::fail(Errc::kUnavailable, "nobody listens at {} (UDP)", to.to_string())
                     : core::fail(Errc::kUnavailable, "{}: {}", to.to_string(), std::strerror(errno));
        break;
    }
    ::close(descriptor);
    return answer;
}

}  // namespace smackd::cmd
