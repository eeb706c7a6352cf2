// Framed protobuf messages over a net::Stream: the daemon's end of the launcher and shim protocols. Loop
// thread only.
#pragma once

#include <memory>
#include <string>

#include "core/wire/serialize.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/sync.h"
#include "services/agent/frames.h"

namespace smackd::agent {

class MessageStream {
 public:
    MessageStream(net::Loop& loop, std::unique_ptr<net::Stream> stream)
        : stream_(std::move(stream)), writing_(loop, 1) {}

    /// The next message. One reader. kUnavailable at the end, kCorrupt when it is none.
    template <class Message>
    net::Task<core::Result<Message>> receive() {
        CO_TRY_ASSIGN(const std::string bytes, co_await receive_bytes());
        Message message;
        if (!message.ParseFromString(bytes))
            co_return core::fail(core::Errc::kCorrupt, "the message cannot be read");
        co_return message;
    }
    /// Any number of writers, one after the other.
    net::Task<core::Result<void>> send(const google::protobuf::MessageLite& message) {
        return send_bytes(frame(wire::serialize(message)));
    }
    net::Task<void> close() { return stream_->close(); }

 private:
    net::Task<core::Result<std::string>> receive_bytes();
    net::Task<core::Result<void>> send_bytes(std::string bytes);

    std::unique_ptr<net::Stream> stream_;
    net::Semaphore writing_;
    FrameBuffer input_;
};

}  // namespace smackd::agent
