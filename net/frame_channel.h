// FrameChannel: length-prefixed messages with descriptors over a Unix stream socket, between the daemon and a
// child of it.
#pragma once

#include <deque>
#include <memory>
#include <span>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/result.h"
#include "net/loop.h"

namespace smackd::net {

inline constexpr size_t kFrameDescriptorsMax = 200;     ///< with one message; the kernel takes 253
inline constexpr size_t kWaitingDescriptorsMax = 4096;  ///< received and not yet taken

class FrameChannel {
 public:
    /// Descriptors in the order they came; closed when dropped.
    class Descriptors {
     public:
        Descriptors() = default;
        Descriptors(const Descriptors&) = delete;
        Descriptors& operator=(const Descriptors&) = delete;
        ~Descriptors();
        /// The next one, which is the caller's from then on; -1 when there is none.
        int take();
        void add(int descriptor) { waiting_.push_back(descriptor); }
        size_t size() const { return waiting_.size(); }

     private:
        std::deque<int> waiting_;
    };

    class Handler {
     public:
        virtual ~Handler() = default;
        /// May destroy the channel. `descriptors` holds those of this frame first.
        virtual void on_frame(core::BytesView frame, Descriptors& descriptors) = 0;
        /// The other end has gone, or a frame is longer than allowed. Nothing follows.
        virtual void on_closed(const core::Error& why) = 0;
    };

    /// Takes over a connected Unix stream socket. The handler outlives the channel.
    static core::Result<std::unique_ptr<FrameChannel>> adopt(Loop& loop, int descriptor,
                                                             size_t frame_bytes_max, Handler& handler);
    virtual ~FrameChannel() = default;
    /// Queues a message with copies of `descriptors` (at most kFrameDescriptorsMax).
    virtual void send(core::BytesView frame, std::span<const int> descriptors = {}) = 0;
    /// Bytes that wait for a reader who does not read.
    virtual size_t queued() const = 0;
};

/// Accepts connections at a listening Unix stream socket until destroyed.
class FrameListener {
 public:
    /// Takes over `descriptor`. `on_connected` gets descriptors of its own, of processes of root or of our
    /// uid.
    static core::Result<std::unique_ptr<FrameListener>> adopt(Loop& loop, int descriptor,
                                                              core::Callback<void(int)> on_connected);
    virtual ~FrameListener() = default;
};
/// True when `descriptor` is a listening socket.
bool is_listening(int descriptor);

}  // namespace smackd::net
