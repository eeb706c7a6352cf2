#include "net/move_stream.h"

#include "net/tls/tls_stream.h"
#include "net/uv_stream.h"

namespace smackd::net {

core::Result<void> detach_from_loop(Stream& stream) {
    if (auto* tls = dynamic_cast<TlsStream*>(&stream)) return tls->detach();
    if (auto* socket = dynamic_cast<UvStream*>(&stream)) return socket->detach();
    return core::fail(core::Errc::kUnsupported, "a stream of this kind stays on its loop");
}

core::Result<void> attach_to_loop(Stream& stream, Loop& loop) {
    if (auto* tls = dynamic_cast<TlsStream*>(&stream)) return tls->attach(loop);
    if (auto* socket = dynamic_cast<UvStream*>(&stream)) return socket->attach(loop);
    return core::fail(core::Errc::kUnsupported, "a stream of this kind stays on its loop");
}

}  // namespace smackd::net
