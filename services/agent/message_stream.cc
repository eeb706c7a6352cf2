#include "services/agent/message_stream.h"

namespace smackd::agent {

net::Task<core::Result<std::string>> MessageStream::receive_bytes() {
    std::string buffer(65536, '\0');
    for (;;) {
        CO_TRY_ASSIGN(auto message, input_.next());
        if (message) co_return std::move(*message);
        CO_TRY_ASSIGN(const size_t got, co_await stream_->read(buffer.data(), buffer.size()));
        if (got == 0) co_return core::fail(core::Errc::kUnavailable, "the other process has ended");
        input_.append(std::string_view(buffer).substr(0, got));
    }
}

net::Task<core::Result<void>> MessageStream::send_bytes(std::string bytes) {
    CO_TRY(co_await writing_.acquire());
    const net::Semaphore::Permit permit(writing_);
    co_return co_await stream_->write(bytes);
}

}  // namespace smackd::agent
