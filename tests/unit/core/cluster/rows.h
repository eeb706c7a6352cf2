// A small registry for tests.
#pragma once

#include <string>

#include "core/cluster/registry.h"

namespace smackd::test {

/// Machine m<id> with server node <id> for each of 1..servers, and agent node 9 on m9.
inline core::cluster::Registry::Rows rows(uint64_t servers) {
    core::cluster::Registry::Rows made;
    made.cluster_id = "c";
    made.revision = {1, 5};
    made.last_node_id = 9;
    const auto add = [&](uint64_t id, const char* role) {
        wire::PutMachine& machine = made.machines.emplace_back();
        machine.set_name("m" + std::to_string(id));
        machine.add_roles(role);
        machine.set_state(wire::MACHINE_ALLOWED);
        wire::PutNode& node = made.nodes.emplace_back();
        node.set_node_id(id);
        node.set_machine(machine.name());
        node.set_address(machine.name() + ":5055");
        node.add_roles(role);
    };
    for (uint64_t id = 1; id <= servers; ++id) add(id, "server");
    add(9, "agent");
    return made;
}

}  // namespace smackd::test
