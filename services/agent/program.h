// Becoming a program inside a task: ids, limits, capabilities, filter, execve. For the task's command and for
// programs run beside it (exec); namespaces, groups and root are there by now.
#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

inline constexpr uint32_t kDefaultOpenFiles = 65536;
inline constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct ProgramRequest {
    std::vector<std::string> words{};
    std::vector<std::string> environment{};  ///< "NAME=VALUE"; PATH and HOME are added where missing
    std::string user{};
    std::string working_directory{};  ///< empty: "/"
    bool makes_directory = true;      ///< where it is not there and can be
    uint32_t open_files = 0;
    uint64_t capabilities = 0;
    bool privileged = false;
    bool dies_with_parent = false;
};

/// The task's own command.
ProgramRequest command_of(const wire::TaskSpec& spec);
/// `exec` in the task's surroundings.
ProgramRequest program_of(const wire::TaskSpec& spec, const wire::ShimExec& exec);

/// Only returns when it fails. All descriptors above 2 close at execve.
StepError become_program(ProgramRequest program, const core::Bytes& seccomp);

/// A terminal of this mount namespace's /dev/pts, checked to be one.
struct Terminal {
    Descriptor master{};
    Descriptor slave{};
};
Stepped<Terminal> open_terminal();
/// Makes `slave` 0, 1, 2 and the controlling terminal of this process, which leads a new session.
Stepped<void> use_terminal(int slave);

}  // namespace smackd::agent
