// One stream of a task on its way to its log: the pipe or terminal it writes to, read no faster than its log
// may grow.
#pragma once

#include <memory>
#include <string>

#include "core/wire/shim_state.pb.h"
#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/kept_descriptors.h"
#include "services/agent/log_files.h"
#include "services/agent/poll_loop.h"

namespace smackd::agent {

class LogPipe {
 public:
    /// `directory`: of the task's logs, open as long as this. Nothing is read before watch().
    LogPipe(PollLoop& loop, int directory, const char* stream, const wire::TaskLogLimits& limits);
    /// As save() left it.
    LogPipe(PollLoop& loop, int directory, const char* stream, const wire::TaskLogLimits& limits,
            const wire::ShimLogState& state);
    ~LogPipe();
    LogPipe(const LogPipe&) = delete;
    LogPipe& operator=(const LogPipe&) = delete;

    void read_from(Descriptor end) { read_ = std::move(end); }
    /// Nothing is read when there is nothing to read from.
    void watch();
    /// Takes what is still in the pipe when all who could write are gone.
    void drain();
    uint64_t written() const { return writer_.written(); }
    void save(wire::ShimLogState& into, KeptDescriptors& kept) const;

 private:
    void pump();

    PollLoop& loop_;
    Descriptor read_;
    LogWriter writer_;
    LogRate rate_;
    uint64_t pause_ = 0;  // the timer after which it is read again
};

}  // namespace smackd::agent
