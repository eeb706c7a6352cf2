// The network of one task: a namespace with nothing, or with an address on the node's bridge and published
// ports.
#pragma once

#include <vector>

#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/step.h"

namespace smackd::agent {

/// Empty in host mode. The namespace lives as long as the descriptor and the processes in it; its devices go
/// with it. Steps "network namespace", "veth", "publish port".
struct TaskNetwork {
    Descriptor network_namespace{};
    std::vector<Descriptor>
        reserved{};  ///< sockets bound to the published ports, so that nobody else takes them
    bool published = false;
};
/// `prepared`: a namespace of make_network_namespace(), or none.
Stepped<TaskNetwork> make_task_network(const wire::ShimPlan& plan, Descriptor prepared = {});
/// One with nothing in it but a loopback, which is up.
Stepped<Descriptor> make_network_namespace();
/// Takes back what is not in the namespace: published ports. Those that are not there are fine.
void unpublish(const wire::ShimPlan& plan);

}  // namespace smackd::agent
