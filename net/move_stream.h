// Moves a connection from one loop to another: after a handshake on the door's loop it is served where its
// work belongs.
//
// Between the two calls the stream is on no loop: nothing but attach_to_loop() and the destructor may be
// called. For streams over sockets, and TLS streams over those.
#pragma once

#include "core/result.h"
#include "net/loop.h"
#include "net/stream.h"

namespace smackd::net {

/// On the loop's thread, with no read or write pending. kUnsupported for other streams, kIo; the stream is to
/// be destroyed then.
core::Result<void> detach_from_loop(Stream& stream);
/// On the thread of `loop`. After an error the stream is to be destroyed.
core::Result<void> attach_to_loop(Stream& stream, Loop& loop);

}  // namespace smackd::net
