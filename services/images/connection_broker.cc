#include "services/images/connection_broker.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <format>
#include <memory>

#include "core/json.h"
#include "services/images/child_process.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Json;
using core::Result;

namespace {

constexpr int kConnectMs = 15'000;
constexpr size_t kAddressesMax = 8;

/// Connects to the address that was checked, and to no other.
Result<FileDescriptor> connect_to(const sockaddr* address, socklen_t length) {
    FileDescriptor socket(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno(errno, "socket");
    if (::connect(socket.get(), address, length) != 0 && errno != EINPROGRESS) {
        return fail(Errc::kUnavailable, "{}", ::strerror(errno));
    }
    pollfd ready{socket.get(), POLLOUT, 0};
    if (::poll(&ready, 1, kConnectMs) == 0)
        return fail(Errc::kTimeout, "no answer within {} s", kConnectMs / 1000);
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return fail_errno(errno, "getsockopt");
    if (error != 0) return fail(Errc::kUnavailable, "{}", ::strerror(error));
    return socket;
}

Result<FileDescriptor> connect_checked(const std::string& host, uint16_t port, const AddressRules& rules) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (status != 0) return fail(Errc::kNotFound, "host '{}': {}", host, ::gai_strerror(status));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
    Result<FileDescriptor> last = fail(Errc::kNotFound, "host '{}' has no address", host);
    size_t tried = 0;
    for (const addrinfo* one = found; one != nullptr && tried < kAddressesMax; one = one->ai_next, ++tried) {
        const auto refusal = rules.refusal(net::Address::from_sockaddr(one->ai_addr));
        if (refusal) {
            last = fail(Errc::kDenied, "{}:{} may not be reached: {}", host, port, *refusal);
            continue;
        }
        last = connect_to(one->ai_addr, one->ai_addrlen);
        if (last) return last;
        last = core::pass(std::move(last), std::format("{}:{}", host, port));
    }
    return last;
}

Result<void> send_answer(int socket, const Json& answer, int descriptor) {
    std::string text = answer.dump();
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) return fail_errno(errno, "hand over a connection");
    return {};
}

}  // namespace

Result<bool> answer_connection_request(int socket, const AddressRules& rules) {
    std::array<char, kBrokerMessageBytesMax> buffer{};
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0) return false;
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (count < 0) return fail_errno(errno, "the child's request");
    const std::string_view text(buffer.data(), static_cast<size_t>(count));
    const size_t line = text.find('\n');
    const std::string host(text.substr(0, line));
    uint16_t port = 0;
    const std::string_view digits = line == std::string_view::npos ? "" : text.substr(line + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    Result<FileDescriptor> connection = fail(Errc::kInvalid, "the request for a connection is malformed");
    const bool good = error == std::errc() && !host.empty() && host.find('\0') == std::string::npos;
    if (good) connection = connect_checked(host, port, rules);
    TRY(send_answer(socket, connection ? Json::object() : child_error(connection.error()),
                    connection ? connection->get() : -1));
    return true;
}

Result<FileDescriptor> request_connection(int socket, const std::string& host, uint16_t port) {
    std::string text = std::format("{}\n{}", host, port);
    iovec part{text.data(), text.size()};
    msghdr out{};
    out.msg_iov = &part;
    out.msg_iovlen = 1;
    if (::sendmsg(socket, &out, MSG_NOSIGNAL) < 0) return fail_errno(errno, "ask for a connection");
    std::array<char, kBrokerMessageBytesMax> buffer{};
    part = {buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr in{};
    in.msg_iov = &part;
    in.msg_iovlen = 1;
    in.msg_control = control.data();
    in.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket, &in, MSG_CMSG_CLOEXEC);
    if (count <= 0) return fail(Errc::kUnavailable, "the parent gives no connection");
    FileDescriptor connection;
    const cmsghdr* head = CMSG_FIRSTHDR(&in);
    if (head != nullptr && head->cmsg_type == SCM_RIGHTS) {
        int number = -1;
        std::memcpy(&number, CMSG_DATA(head), sizeof number);
        connection = FileDescriptor(number);
    }
    TRY_ASSIGN(const Json answer, Json::parse(std::string_view(buffer.data(), static_cast<size_t>(count))));
    if (const auto error = error_of_child(answer)) return std::unexpected(*error);
    if (!connection) return fail(Errc::kUnavailable, "the parent's answer has no connection");
    return connection;
}

}  // namespace smackd::services::images
