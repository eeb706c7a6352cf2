// RPC frames: a 4-byte little-endian length, then one wire.RpcFrame.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "net/stream.h"
#include "net/task.h"

namespace smackd::wire {
class RpcFrame;
}

namespace smackd::net::rpc {

inline constexpr size_t kFrameBytesMax = 4 * 1024 * 1024 + 4096;  ///< a message of 4 MiB with its wrapping
inline constexpr uint32_t kProtocolVersion = 1;

/// Appends the frame. kInvalid when it is longer than kFrameBytesMax.
core::Result<void> append_frame(core::Bytes& out, const wire::RpcFrame& frame);

/// Cuts frames out of a stream of bytes; no I/O.
class FrameDecoder {
 public:
    void feed(core::BytesView bytes) { buffer_.append(bytes); }
    /// True with the next whole frame in `into`; false when more bytes are needed. kCorrupt on a length
    /// beyond the limit or bytes that are no RpcFrame; nothing can be read after that.
    core::Result<bool> next(wire::RpcFrame& into);

 private:
    core::Bytes buffer_;
    size_t begin_ = 0;
};

}  // namespace smackd::net::rpc
