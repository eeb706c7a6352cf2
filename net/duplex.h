// Duplex: a byte stream with callbacks, for data paths (ingress) where a task for each read would cost. All
// TCP connections of a loop read into one buffer, so an idle connection has none. net/stream.h has the form
// with tasks; TLS is made of a Stream.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/stream.h"

namespace smackd::net {

/// How long the other end's kernel has said nothing.
struct Silence {
    core::Duration since_ack{0};
    bool unacknowledged = false;  ///< it was sent something since
};

inline constexpr size_t kSharedBufferBytes = 128 * 1024;

/// The one buffer that a loop's connections read into.
class SharedBuffer {
 public:
    SharedBuffer() : bytes_(new char[kSharedBufferBytes]) {}
    std::span<char> bytes() { return {bytes_.get(), kSharedBufferBytes}; }

 private:
    std::unique_ptr<char[]> bytes_;
};

/// Loop thread only. Reading begins with start().
class Duplex {
 public:
    /// Who is told. In each of these calls it may close and destroy the Duplex.
    class Handler {
     public:
        virtual ~Handler() = default;
        /// `bytes` are valid during the call.
        virtual void on_bytes(core::BytesView bytes) = 0;
        /// The peer will send no more; writing goes on.
        virtual void on_end() = 0;
        /// All that was queued has been sent.
        virtual void on_drained() {}
        /// A connection that was being made is there.
        virtual void on_connected() {}
        /// Broken; nothing follows.
        virtual void on_failed(const core::Error& why) = 0;
    };

    /// Closes at once; no call of the handler follows.
    virtual ~Duplex() = default;

    virtual void start(Handler& handler) = 0;
    /// Sends now what the socket takes and queues a copy of the rest. False: broken, close it; on_failed does
    /// not come as well.
    [[nodiscard]] virtual bool write(std::span<const core::BytesView> pieces) = 0;
    [[nodiscard]] bool write(core::BytesView bytes) { return write(std::span(&bytes, 1)); }
    virtual size_t queued() const = 0;
    /// While paused nothing is read (and no end is noticed).
    virtual void pause() = 0;
    virtual void resume() = 0;
    /// Sends the end of the stream behind what is queued.
    virtual void finish() = 0;
    /// Of a TCP connection that is open; nullopt where nothing can be said. Unlike TCP_USER_TIMEOUT it tells
    /// a peer that does not read (a closed window) from one that is gone.
    virtual std::optional<Silence> silence() const = 0;
    /// Closes by RST, so that the peer does not take what it got for complete.
    virtual void abort() = 0;
};

inline constexpr core::Duration kProbeAfter = std::chrono::seconds(15);

/// Connects to `to`; on_connected or on_failed follows. The owner keeps the time limit. Writing may begin at
/// once. After `probe_after` of silence the peer's kernel is asked for a sign of life each second (TCP
/// keep-alive).
std::unique_ptr<Duplex> connect_duplex(Loop& loop, SharedBuffer& buffer, const Address& to,
                                       Duplex::Handler& handler, core::Duration probe_after = kProbeAfter);

/// A Duplex over a Stream (TLS). Its tasks run in `scope`, also after the Duplex is gone, until all is
/// closed.
std::unique_ptr<Duplex> duplex_over(std::unique_ptr<Stream> stream, Scope& scope);

/// An accepted TCP connection on its way to become one or the other.
class Accepted {
 public:
    virtual ~Accepted() = default;
    virtual const Address& peer() const = 0;
    virtual std::unique_ptr<Duplex> to_duplex(SharedBuffer& buffer) = 0;
    virtual std::unique_ptr<Stream> to_stream() = 0;
};

/// Accepts TCP connections until destroyed.
class Acceptor {
 public:
    using OnAccepted = std::function<void(std::unique_ptr<Accepted>)>;
    /// Takes over a listening descriptor (net/listen_socket.h); it is closed when that fails.
    static core::Result<std::unique_ptr<Acceptor>> adopt(Loop& loop, int descriptor, OnAccepted on_accepted);

    virtual ~Acceptor() = default;
    virtual Address address() const = 0;
};

}  // namespace smackd::net
