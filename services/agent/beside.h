// A program run inside a task beside its command: in all its namespaces and groups, under the same filter and
// limits.
#pragma once

#include "core/bytes.h"
#include "core/wire/task.pb.h"
#include "services/agent/cgroups.h"
#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

struct BesideRequest {
    const wire::TaskSpec& spec;
    const wire::ShimExec& exec;
    const CgroupTree& cgroups;
    std::string group;
    core::Bytes seccomp;
    int task_pidfd = -1;  ///< of the task's pid 1
    bool user_namespace = true;
};

struct BesideProgram {
    int helper_pid = 0;   ///< our child, which waits for the program; killing it ends the program
    Descriptor status{};  ///< one int when the program has ended: its wait status
    Descriptor input{};   ///< to the program; with a terminal a copy of its master
    Descriptor output{};  ///< from it; the master, with a terminal
    Descriptor error{};   ///< none with a terminal
};

/// Returns once it is executed. For processes with one thread.
Stepped<BesideProgram> start_beside(const BesideRequest& request);
/// Gives the terminal another size.
void resize_terminal(int master, uint32_t rows, uint32_t columns);

}  // namespace smackd::agent
