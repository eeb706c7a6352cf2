// What is typed at a program beside a task, as the shim takes it: the part that all ways to one share.
#pragma once

#include "core/units.h"
#include "services/agent/task_runner.h"

namespace smackd::agent {

inline constexpr size_t kExecInputBytesMax =
    64 * core::kKiB;  ///< of one message; what is longer goes in several

class ExecInput : public ExecSession {
 public:
    net::Task<core::Result<void>> write(std::string bytes) final;
    net::Task<core::Result<void>> end_input() final;
    net::Task<core::Result<void>> resize(uint32_t rows, uint32_t columns) final;

 private:
    /// Waits until the program's side has room for it.
    virtual net::Task<core::Result<void>> put(wire::ShimExecInput input) = 0;
};

}  // namespace smackd::agent
