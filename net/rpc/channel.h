// Channel: frames over a Stream, for both ends of an RPC connection. Private to net/rpc.
#pragma once

#include <memory>
#include <string>

#include "core/wire/rpc.pb.h"
#include "net/rpc/frame.h"
#include "net/rpc/rpc.h"
#include "net/scope.h"
#include "net/stream.h"
#include "net/sync.h"

namespace smackd::net::rpc {

inline constexpr size_t kChannelReadBytes = 64 * 1024;
inline constexpr size_t kSendQueueBytesMax = 16 * 1024 * 1024;  ///< beyond it senders wait, as for frames

class Channel {
 public:
    Channel(Loop& loop, std::unique_ptr<Stream> stream, RpcLimits limits);

    /// Sends our hello and waits for the other's. kUnsupported when its protocol version differs, or what the
    /// peer's error frame says.
    Task<core::Result<Hello>> exchange_hellos(const Hello& self);
    /// The next frame; kUnavailable when the stream ends.
    Task<core::Result<void>> receive(wire::RpcFrame& into);
    /// Queues a frame once there is room.
    Task<core::Result<void>> send(wire::RpcFrame frame);
    /// Queues a frame; false when there is no room or the connection is gone. A frame that is too long is a
    /// bug.
    bool try_send(const wire::RpcFrame& frame);
    /// Writes queued frames until the stream breaks or stop() was called and all are written.
    Task<core::Result<void>> write_queued();
    void stop();

    Loop& loop() { return loop_; }
    Stream& stream() { return *stream_; }
    const RpcLimits& limits() const { return limits_; }

 private:
    bool room() const { return queued_ < limits_.send_queue_frames && pending_.size() < kSendQueueBytesMax; }
    core::Result<void> queue(const wire::RpcFrame& frame);

    Loop& loop_;
    std::unique_ptr<Stream> stream_;
    RpcLimits limits_;
    FrameDecoder decoder_;
    std::string input_;
    core::Bytes pending_;  // encoded, not yet handed to the stream
    size_t queued_ = 0;    // frames in pending_
    bool stopped_ = false;
    WaitList room_;
    WaitList work_;
};

wire::RpcFrame error_frame(uint64_t call, const core::Error& error);
core::Error error_of(const wire::RpcError& error);

}  // namespace smackd::net::rpc
