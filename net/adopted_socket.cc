#include "net/adopted_socket.h"

#include <unistd.h>

#include "net/uv_stream.h"

namespace smackd::net {

core::Result<std::unique_ptr<Stream>> adopt_unix(Loop& loop, int fd) {
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_pipe_init(loop.raw(), &handle->pipe, 0) == 0);
    const int status = uv_pipe_open(&handle->pipe, fd);
    if (status < 0) {
        ::close(fd);
        return fail_uv(status, "taking over a socket");
    }
    return std::make_unique<UvStream>(loop, std::move(handle));
}

}  // namespace smackd::net
