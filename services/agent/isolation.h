// Starts a task in namespaces, groups and a root of its own. The order of the steps is the security of it:
// isolation.cc says at each why it stands there. For processes with one thread: a copy of the caller becomes
// the task.
#pragma once

#include <vector>

#include "core/bytes.h"
#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/root_plan.h"
#include "services/agent/step.h"

namespace smackd::agent {

struct IsolationRequest {
    const wire::TaskSpec& spec;
    RootContext root;            ///< user_base, cgroups and group are used for more than the root
    core::Bytes seccomp{};       ///< compiled profile; not used by privileged tasks
    int network_namespace = -1;  ///< -1: the host's
    int input = -1;              ///< become the task's 0, 1, 2; not with a terminal
    int output = -1;
    int error = -1;
};

struct IsolatedTask {
    int pid = 0;            ///< of its pid 1, as the host sees it
    Descriptor pidfd{};     ///< readable when it has ended; the caller reaps
    Descriptor status{};    ///< one int: the command's wait status, from the init; none with spec.no_init
    Descriptor terminal{};  ///< the master, with spec.tty
    std::vector<Descriptor> layers{};  ///< of its root: nobody should wait for their being closed
};

/// Returns once the command is executed; the group exists and has its limits. Whatever fails is undone but
/// for the group and the files of the task's directory.
Stepped<IsolatedTask> start_isolated(const IsolationRequest& request);

}  // namespace smackd::agent
