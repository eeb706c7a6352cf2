#include "services/agent/exec_stream.h"

namespace smackd::agent {

using core::Result;
using net::Task;

Task<Result<ExecSession::Output>> ExecStream::read() {
    for (;;) {
        CO_TRY_ASSIGN(wire::ShimAnswer answer, co_await stream_->receive<wire::ShimAnswer>());
        Output output;
        switch (answer.what_case()) {
            case wire::ShimAnswer::kOutput:
                output.bytes = std::move(*answer.mutable_output()->mutable_bytes());
                output.error_stream = answer.output().error_stream();
                co_return output;
            case wire::ShimAnswer::kExit:
                output.exit = std::move(*answer.mutable_exit());
                co_return output;
            case wire::ShimAnswer::kRefusal:
                co_return std::unexpected(core::Error{static_cast<core::Errc>(answer.refusal().code()),
                                                      answer.refusal().message(), 0});
            default:
                break;  // hello, and events of the task
        }
    }
}

Task<Result<void>> ExecStream::put(wire::ShimExecInput input) {
    wire::ShimRequest request;
    *request.mutable_input() = std::move(input);
    co_return co_await stream_->send(request);
}

}  // namespace smackd::agent
