#include "net/rpc/channel.h"

#include <format>

namespace smackd::net::rpc {

using core::Errc;
using core::Result;

Channel::Channel(Loop& loop, std::unique_ptr<Stream> stream, RpcLimits limits)
    : loop_(loop),
      stream_(std::move(stream)),
      limits_(limits),
      input_(kChannelReadBytes, '\0'),
      room_(loop),
      work_(loop) {}

wire::RpcFrame error_frame(uint64_t call, const core::Error& error) {
    wire::RpcFrame frame;
    frame.set_call(call);
    wire::RpcError& body = *frame.mutable_error();
    body.set_code(static_cast<uint32_t>(error.code));
    body.set_message(error.message);
    body.set_retry_after_ms(error.retry_after_ms);
    return frame;
}

core::Error error_of(const wire::RpcError& error) {
    // A code this version does not know is still an error; what a caller can do about it is to try again
    // later.
    bool known = error.code() >= 1 && error.code() <= static_cast<uint32_t>(Errc::kUnknownOutcome);
    Errc code = known ? static_cast<Errc>(error.code()) : Errc::kUnavailable;
    return core::Error{code, error.message(), error.retry_after_ms()};
}

namespace {

Task<Result<void>> receive_hello(Channel& channel, wire::RpcFrame& frame) {
    CO_TRY(co_await channel.receive(frame));
    if (frame.has_error()) co_return std::unexpected(error_of(frame.error()));
    if (!frame.has_hello()) co_return core::fail(Errc::kCorrupt, "the first RPC frame is no hello");
    co_return Result<void>();
}

}  // namespace

Task<Result<Hello>> Channel::exchange_hellos(const Hello& self) {
    wire::RpcFrame ours;
    ours.mutable_hello()->set_protocol(self.protocol);
    ours.mutable_hello()->set_software(self.software);
    ours.mutable_hello()->set_node_id(self.node.value);
    core::Bytes bytes;
    CO_TRY(append_frame(bytes, ours));
    CO_TRY(co_await stream_->write(bytes));
    wire::RpcFrame theirs;
    std::string what = "the hello of " + stream_->peer();
    CO_TRY(co_await with_deadline(loop_, limits_.hello, std::move(what), receive_hello(*this, theirs)));
    const wire::RpcHello& hello = theirs.hello();
    if (hello.protocol() != self.protocol) {
        co_return core::fail(Errc::kUnsupported,
                             "{} (smackd {}) speaks RPC version {}, we speak {}: update the older one",
                             stream_->peer(), hello.software(), hello.protocol(), self.protocol);
    }
    co_return Hello{hello.protocol(), hello.software(), core::NodeId{hello.node_id()}};
}

Task<Result<void>> Channel::receive(wire::RpcFrame& into) {
    for (;;) {
        CO_TRY_ASSIGN(bool whole, decoder_.next(into));
        if (whole) co_return Result<void>();
        CO_TRY_ASSIGN(size_t count, co_await stream_->read(input_.data(), input_.size()));
        if (count == 0) co_return core::fail(Errc::kUnavailable, "{} closed the connection", stream_->peer());
        decoder_.feed(core::BytesView(input_).substr(0, count));
    }
}

Result<void> Channel::queue(const wire::RpcFrame& frame) {
    TRY(append_frame(pending_, frame));
    ++queued_;
    work_.wake_one();
    return {};
}

Task<Result<void>> Channel::send(wire::RpcFrame frame) {
    while (!stopped_ && !room()) CO_TRY(co_await room_.wait());
    if (stopped_) co_return core::fail(Errc::kUnavailable, "the connection to {} is closed", stream_->peer());
    co_return queue(frame);
}

bool Channel::try_send(const wire::RpcFrame& frame) {
    if (stopped_ || !room()) return false;
    return queue(frame).has_value();
}

Task<Result<void>> Channel::write_queued() {
    for (;;) {
        if (pending_.empty()) {
            if (stopped_) co_return Result<void>();
            CO_TRY(co_await work_.wait());
            continue;
        }
        // Frames queued meanwhile go out with the next write: under load many share one.
        core::Bytes sending = std::exchange(pending_, {});
        queued_ = 0;
        room_.wake_all();
        auto written = co_await stream_->write(sending);
        if (!written) {
            stop();
            co_return written;
        }
    }
}

void Channel::stop() {
    stopped_ = true;
    work_.wake_all();
    room_.wake_all();
}

}  // namespace smackd::net::rpc
