// A connected TCP socket that another process made and gave us, as a Stream.
#pragma once

#include <memory>

#include "net/loop.h"
#include "net/stream.h"

namespace smackd::net {

/// Takes `descriptor` and makes it non-blocking; closes it when it cannot be used.
core::Result<std::unique_ptr<Stream>> stream_of_given_tcp(Loop& loop, int descriptor);

}  // namespace smackd::net
