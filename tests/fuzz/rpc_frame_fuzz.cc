// RPC frames: no crash, and what was read is written again the same.

#include <cstdlib>

#include "core/wire/rpc.pb.h"
#include "net/rpc/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using smackd::net::rpc::FrameDecoder;
    FrameDecoder whole;
    FrameDecoder cut;
    whole.feed({reinterpret_cast<const char*>(data), size});
    size_t fed = 0;
    for (;;) {
        smackd::wire::RpcFrame frame;
        auto got = whole.next(frame);
        smackd::wire::RpcFrame other;
        auto again = cut.next(other);
        while (again && !*again && fed < size) {
            cut.feed({reinterpret_cast<const char*>(data) + fed++, 1});
            again = cut.next(other);
        }
        if (got.has_value() != again.has_value()) std::abort();
        bool too_long = size >= 4 && smackd::core::get_u32(reinterpret_cast<const char*>(data)) >
                                         smackd::net::rpc::kFrameBytesMax;
        if (too_long && got) std::abort();
        if (!got || !*got) return 0;
        if (frame.SerializeAsString() != other.SerializeAsString()) std::abort();
        smackd::core::Bytes bytes;
        if (!smackd::net::rpc::append_frame(bytes, frame)) std::abort();
    }
}
