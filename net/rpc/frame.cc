#include "net/rpc/frame.h"

#include "core/planted.h"
#include "core/wire/rpc.pb.h"

namespace smackd::net::rpc {

using core::Errc;

namespace {

constexpr size_t kLengthBytes = 4;

}  // namespace

core::Result<void> append_frame(core::Bytes& out, const wire::RpcFrame& frame) {
    size_t size = frame.ByteSizeLong();
    if (size > kFrameBytesMax) {
        return core::fail(Errc::kInvalid, "an RPC frame of {} bytes; at most {} are allowed", size,
                          kFrameBytesMax);
    }
    core::put_u32(out, static_cast<uint32_t>(size));
    size_t begin = out.size();
    out.resize(begin + size);
    frame.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out.data() + begin));
    return {};
}

core::Result<bool> FrameDecoder::next(wire::RpcFrame& into) {
    size_t left = buffer_.size() - begin_;
    size_t size = left < kLengthBytes ? 0 : core::get_u32(buffer_.data() + begin_);
    if (size > kFrameBytesMax && !SMACK_BUG("fuzz_rpc_frame")) {
        return core::fail(Errc::kCorrupt, "an RPC frame of {} bytes is announced; at most {} are allowed",
                          size, kFrameBytesMax);
    }
    if (left < kLengthBytes || left - kLengthBytes < size) {
        // Only what is left of one frame is moved, once a read.
        buffer_.erase(0, begin_);
        begin_ = 0;
        return false;
    }
    if (!into.ParseFromArray(buffer_.data() + begin_ + kLengthBytes, static_cast<int>(size))) {
        return core::fail(Errc::kCorrupt, "the bytes of an RPC frame are no RpcFrame");
    }
    begin_ += kLengthBytes + size;
    return true;
}

}  // namespace smackd::net::rpc
