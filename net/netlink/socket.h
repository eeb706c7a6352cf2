// A netlink socket: requests and their answers, one after the other, blocking. It belongs to the network
// namespace it was opened in. For the small processes and for threads that may wait; the kernel answers at
// once.
#pragma once

#include <vector>

#include "core/callback.h"
#include "core/result.h"
#include "net/netlink/message.h"

namespace smackd::net::netlink {

class Socket {
 public:
    /// `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER.
    static core::Result<Socket> open(int protocol);
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), sequence_(other.sequence_) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        sequence_ = other.sequence_;
        return *this;
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket();

    /// errno of the answer (0: done), or why there was none. The message asks for an acknowledgement
    /// (NLM_F_ACK).
    core::Result<int> request(const Message& message);
    /// All parts of a dump: type and body behind its header.
    core::Result<void> dump(const Message& message, core::Callback<void(uint16_t, core::BytesView)> each);
    /// Messages between `first` and `last` (which are not acknowledged), sent as one: the errno of the first
    /// that failed, and its place; {0, 0} when all were done.
    struct Outcome {
        int error_number = 0;
        size_t index = 0;
    };
    core::Result<Outcome> transact(const Message& first, const std::vector<Message>& messages,
                                   const Message& last);

 private:
    explicit Socket(int fd) : fd_(fd) {}
    core::Result<void> send(core::BytesView bytes);
    core::Result<core::Bytes> receive();

    int fd_ = -1;
    uint32_t sequence_ = 1;
};

}  // namespace smackd::net::netlink
