// A connected Unix socket that somebody else made, as a Stream: an end of a socketpair whose other end a
// child has.
#pragma once

#include <memory>

#include "net/loop.h"
#include "net/stream.h"

namespace smackd::net {

/// Takes `fd`, and closes it when it cannot be used.
core::Result<std::unique_ptr<Stream>> adopt_unix(Loop& loop, int fd);

}  // namespace smackd::net
