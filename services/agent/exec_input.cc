#include "services/agent/exec_input.h"

namespace smackd::agent {

using core::Result;
using net::Task;

Task<Result<void>> ExecInput::write(std::string bytes) {
    for (size_t at = 0; at < bytes.size(); at += kExecInputBytesMax) {
        wire::ShimExecInput input;
        input.set_bytes(bytes.substr(at, kExecInputBytesMax));
        CO_TRY(co_await put(std::move(input)));
    }
    co_return Result<void>();
}

Task<Result<void>> ExecInput::end_input() {
    wire::ShimExecInput input;
    input.set_end(true);
    co_return co_await put(std::move(input));
}

Task<Result<void>> ExecInput::resize(uint32_t rows, uint32_t columns) {
    wire::ShimExecInput input;
    input.set_rows(rows);
    input.set_columns(columns);
    co_return co_await put(std::move(input));
}

}  // namespace smackd::agent
