#include "net/given_tcp.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "net/uv_stream.h"

namespace smackd::net {

core::Result<std::unique_ptr<Stream>> stream_of_given_tcp(Loop& loop, int descriptor) {
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_tcp_init(loop.raw(), &handle->tcp) == 0);
    const int status = uv_tcp_open(&handle->tcp, descriptor);
    if (status < 0) {
        ::close(descriptor);
        return fail_uv(status, "take over a connection");
    }
    return std::make_unique<UvStream>(loop, std::move(handle));
}

}  // namespace smackd::net
