#include "auth/join_frame.h"

namespace smackd::auth {

using core::Errc;
using core::Result;
using net::Task;

Result<wire::JoinFrame> parse_join_frame(core::BytesView body) {
    wire::JoinFrame frame;
    if (!frame.ParseFromArray(body.data(), static_cast<int>(body.size())) ||
        frame.body_case() == wire::JoinFrame::BODY_NOT_SET) {
        return core::fail(Errc::kInvalid, "join frame: the bytes are no wire.JoinFrame");
    }
    return frame;
}

Task<Result<wire::JoinFrame>> read_join_frame(net::Stream& stream, size_t bytes_max) {
    char head[4] = {};
    CO_TRY(co_await net::read_exactly(stream, head, sizeof head));
    const uint32_t size = core::get_u32(head);
    if (size == 0 || size > bytes_max)
        co_return core::fail(Errc::kInvalid, "join frame of {} bytes: must have 1 to {}", size, bytes_max);
    core::Bytes body(size, '\0');
    CO_TRY(co_await net::read_exactly(stream, body.data(), body.size()));
    co_return parse_join_frame(body);
}

Task<Result<void>> write_join_frame(net::Stream& stream, wire::JoinFrame frame) {
    const core::Bytes body = frame.SerializeAsString();
    core::Bytes bytes;
    core::put_u32(bytes, static_cast<uint32_t>(body.size()));
    bytes += body;
    auto written = co_await stream.write(bytes);
    co_return written;
}

}  // namespace smackd::auth
