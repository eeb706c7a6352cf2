// ExecSession over a shim's socket.
#pragma once

#include "services/agent/message_stream.h"
#include "services/agent/task_runner.h"

namespace smackd::agent {

class ExecStream final : public ExecSession {
 public:
    /// Its answers begin behind the shim's hello.
    explicit ExecStream(std::unique_ptr<MessageStream> stream, size_t& sessions)
        : stream_(std::move(stream)), sessions_(sessions) {
        sessions_++;
    }
    ~ExecStream() override { sessions_--; }
    ExecStream(const ExecStream&) = delete;
    ExecStream& operator=(const ExecStream&) = delete;

    net::Task<core::Result<Output>> read() override;
    net::Task<core::Result<void>> write(std::string bytes) override;
    net::Task<core::Result<void>> end_input() override;
    net::Task<core::Result<void>> resize(uint32_t rows, uint32_t columns) override;
    net::Task<void> close() override { return stream_->close(); }

 private:
    net::Task<core::Result<void>> send(wire::ShimExecInput input);

    std::unique_ptr<MessageStream> stream_;
    size_t& sessions_;
};

}  // namespace smackd::agent
