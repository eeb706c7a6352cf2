// One program beside a task's command, relayed over its connection to the shim.
#pragma once

#include <memory>
#include <string>

#include "core/callback.h"
#include "core/wire/shim_state.pb.h"
#include "core/wire/task.pb.h"
#include "services/agent/beside.h"
#include "services/agent/kept_descriptors.h"
#include "services/agent/poll_loop.h"
#include "services/agent/shim_connection.h"

namespace smackd::agent {

/// Input that waits for a program which does not read; the connection is not read meanwhile.
inline constexpr size_t kExecInputBytesMax = 256 << 10;

class ShimExecSession {
 public:
    /// `connection` outlives it.
    ShimExecSession(PollLoop& loop, ShimConnection& connection, BesideProgram program);
    /// As save() left it.
    ShimExecSession(PollLoop& loop, ShimConnection& connection, const wire::ShimProgramState& state);
    /// Kills the program if it still runs.
    ~ShimExecSession();
    ShimExecSession(const ShimExecSession&) = delete;
    ShimExecSession& operator=(const ShimExecSession&) = delete;

    void input(const wire::ShimExecInput& input);
    void save(wire::ShimProgramState& into, KeptDescriptors& kept) const;

 private:
    void watch();
    void read_output(int fd, bool error_stream);
    bool relay(int fd, bool error_stream);
    void write_input();
    void ended();
    void drained();

    PollLoop& loop_;
    ShimConnection& connection_;
    BesideProgram program_;
    std::string pending_;
    bool end_of_input_ = false;
    bool paused_ = false;
    bool terminal_;
};

}  // namespace smackd::agent
