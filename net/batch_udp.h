// A UDP socket for many small messages: received and sent in batches (recvmmsg, sendmmsg), without a task or
// a copy for each. For servers that answer at once; net/socket.h has the one with tasks.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "core/bytes.h"
#include "net/address.h"
#include "net/loop.h"

namespace smackd::net {

/// Sent at once by libuv 1.50 (with more, uv_udp_try_send2 skips datagrams).
inline constexpr size_t kUdpBatch = 20;
inline constexpr size_t kBatchDatagramBytesMax = 4096;  ///< of what is sent

class BatchUdpSocket {
 public:
    class Receiver {
     public:
        virtual ~Receiver() = default;
        /// `bytes` and `from` are valid during the call.
        virtual void on_datagram(const sockaddr* from, core::BytesView bytes) = 0;
        /// Nobody listens at the other end, or the network is gone; the socket goes on.
        virtual void on_receive_error(const core::Error& why) = 0;
    };

    /// Takes over a bound descriptor (net/listen_socket.h); it is closed when that fails. The receiver
    /// outlives the socket.
    static core::Result<std::unique_ptr<BatchUdpSocket>> adopt(Loop& loop, int descriptor,
                                                               Receiver& receiver);
    /// A socket with a port of its own (the kernel's choice, random) that receives from `to` only.
    static core::Result<std::unique_ptr<BatchUdpSocket>> connect(Loop& loop, const Address& to,
                                                                 Receiver& receiver);

    virtual ~BatchUdpSocket() = default;  ///< closes; nothing is received afterwards
    /// Where the next message can be written, kBatchDatagramBytesMax bytes; send() takes it.
    virtual std::span<char> room() = 0;
    /// Puts the first `bytes` bytes of room() into the batch, which goes out when it is full or all that came
    /// in has been handled. A connected socket ignores `to`. What the kernel does not take is lost, as UDP
    /// may.
    virtual void send(size_t bytes, const sockaddr* to) = 0;
    /// Sends now what send() has gathered.
    virtual void flush() = 0;
    virtual Address address() const = 0;
    /// Messages the kernel did not take.
    virtual uint64_t lost() const = 0;
};

}  // namespace smackd::net
