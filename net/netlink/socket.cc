#include "net/netlink/socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace smackd::net::netlink {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

constexpr long kAnswerMaxS = 5;
constexpr int kBufferBytes = 4 << 20;  // a batch's acknowledgements carry the messages back
constexpr size_t kReceiveBytes = 256 << 10;

struct Part {
    nlmsghdr header{};
    core::BytesView body{};
};

std::optional<Part> take_part(core::BytesView& bytes) {
    Part part;
    if (bytes.size() < sizeof(part.header)) return std::nullopt;
    std::memcpy(&part.header, bytes.data(), sizeof(part.header));
    if (part.header.nlmsg_len < sizeof(part.header) || part.header.nlmsg_len > bytes.size())
        return std::nullopt;
    part.body = bytes.substr(sizeof(part.header), part.header.nlmsg_len - sizeof(part.header));
    const size_t padded = (part.header.nlmsg_len + 3U) & ~size_t{3};
    bytes.remove_prefix(std::min(padded, bytes.size()));
    return part;
}

int error_of(core::BytesView body) {
    int number = 0;
    if (body.size() >= sizeof(number)) std::memcpy(&number, body.data(), sizeof(number));
    return -number;
}

}  // namespace

Result<Socket> Socket::open(int protocol) {
    Socket socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (socket.fd_ < 0) return fail_errno(errno, "netlink socket");
    const timeval limit{kAnswerMaxS, 0};
    ::setsockopt(socket.fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(socket.fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof(kBufferBytes));
    ::setsockopt(socket.fd_, SOL_SOCKET, SO_SNDBUFFORCE, &kBufferBytes, sizeof(kBufferBytes));
    const int brief = 1;  // errors without the whole request
    ::setsockopt(socket.fd_, SOL_NETLINK, NETLINK_CAP_ACK, &brief, sizeof(brief));
    sockaddr_nl self{};
    self.nl_family = AF_NETLINK;
    if (::bind(socket.fd_, reinterpret_cast<const sockaddr*>(&self), sizeof(self)) != 0)
        return fail_errno(errno, "netlink bind");
    return socket;
}

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> Socket::send(core::BytesView bytes) {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const ssize_t sent = ::sendto(fd_, bytes.data(), bytes.size(), 0,
                                  reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
    if (sent != static_cast<ssize_t>(bytes.size())) return fail_errno(errno, "netlink send");
    return {};
}

Result<core::Bytes> Socket::receive() {
    core::Bytes buffer(kReceiveBytes, '\0');
    for (;;) {
        sockaddr_nl from{};
        socklen_t length = sizeof(from);
        const ssize_t got =
            ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "netlink receive");
        if (from.nl_pid != 0) continue;  // only the kernel is listened to
        buffer.resize(static_cast<size_t>(got));
        return buffer;
    }
}

Result<int> Socket::request(const Message& message) {
    const uint32_t sequence = sequence_++;
    TRY(send(message.finish(sequence)));
    for (;;) {
        TRY_ASSIGN(const core::Bytes bytes, receive());
        core::BytesView rest = bytes;
        while (auto part = take_part(rest)) {
            if (part->header.nlmsg_seq == sequence && part->header.nlmsg_type == NLMSG_ERROR)
                return error_of(part->body);
        }
    }
}

Result<void> Socket::dump(const Message& message, core::Callback<void(uint16_t, core::BytesView)> each) {
    const uint32_t sequence = sequence_++;
    TRY(send(message.finish(sequence)));
    for (;;) {
        TRY_ASSIGN(const core::Bytes bytes, receive());
        core::BytesView rest = bytes;
        while (auto part = take_part(rest)) {
            if (part->header.nlmsg_seq != sequence) continue;
            if (part->header.nlmsg_type == NLMSG_DONE) return {};
            if (part->header.nlmsg_type == NLMSG_ERROR)
                return fail_errno(error_of(part->body), "netlink dump");
            each(part->header.nlmsg_type, part->body);
        }
    }
}

Result<Socket::Outcome> Socket::transact(const Message& first, const std::vector<Message>& messages,
                                         const Message& last) {
    const uint32_t begin = sequence_;
    core::Bytes bytes = first.finish(sequence_++);
    for (const Message& message : messages) bytes += message.finish(sequence_++);
    bytes += last.finish(sequence_++);
    TRY(send(bytes));
    Outcome outcome;
    for (size_t answered = 0; answered < messages.size();) {
        TRY_ASSIGN(const core::Bytes received, receive());
        core::BytesView rest = received;
        while (auto part = take_part(rest)) {
            const uint32_t index = part->header.nlmsg_seq - begin;
            if (part->header.nlmsg_type != NLMSG_ERROR || index > messages.size() + 1) continue;
            const int error_number = error_of(part->body);
            if (index == 0 || index > messages.size()) {
                // Of the whole batch; single messages are not answered then.
                if (error_number != 0) return Outcome{error_number, 0};
                continue;
            }
            answered++;
            if (error_number != 0 && outcome.error_number == 0) outcome = Outcome{error_number, index - 1};
        }
    }
    return outcome;
}

}  // namespace smackd::net::netlink
