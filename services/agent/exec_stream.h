// ExecSession over a shim's socket.
#pragma once

#include "net/counted.h"
#include "services/agent/exec_input.h"
#include "services/agent/message_stream.h"

namespace smackd::agent {

class ExecStream final : public ExecInput {
 public:
    /// Its answers begin behind the shim's hello.
    explicit ExecStream(std::unique_ptr<MessageStream> stream, size_t& sessions)
        : stream_(std::move(stream)), counted_(sessions) {}

    net::Task<core::Result<Output>> read() override;
    net::Task<void> close() override { return stream_->close(); }

 private:
    net::Task<core::Result<void>> put(wire::ShimExecInput input) override;

    std::unique_ptr<MessageStream> stream_;
    net::Counted counted_;
};

}  // namespace smackd::agent
