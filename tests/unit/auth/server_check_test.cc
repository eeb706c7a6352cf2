#include "auth/server_check.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using auth::check_server;
using core::NodeId;

namespace {

/// Servers 1 to 3 on machines s1 to s3, agent 4 on a4; s2 is suspended, node 2 of generation 5.
auth::Registry registry() {
    auth::Registry::Rows rows;
    rows.cluster_id = "c";
    rows.revision = {1, 1};
    for (uint64_t id = 1; id <= 4; ++id) {
        wire::PutMachine machine;
        machine.set_name((id == 4 ? "a" : "s") + std::to_string(id));
        machine.add_roles(id == 4 ? "agent" : "server");
        machine.set_state(id == 2 ? wire::MACHINE_SUSPENDED : wire::MACHINE_ALLOWED);
        machine.set_generation(id == 2 ? 5 : 0);
        wire::PutNode node;
        node.set_node_id(id);
        node.set_machine(machine.name());
        node.add_roles(id == 4 ? "agent" : "server");
        node.set_generation(machine.generation());
        rows.machines.push_back(machine);
        if (id != 3) rows.nodes.push_back(node);  // node 3 was removed
    }
    return auth::Registry(std::move(rows));
}

std::string refusal(auth::DialledServer server, bool lenient = false) {
    auto checked = check_server(registry(), server, lenient);
    return checked ? "" : checked.error().message;
}

}  // namespace

TEST_CASE("an agent refuses servers that its registry refuses for good") {
    CHECK(refusal({NodeId{1}, 0}).empty());
    CHECK(refusal({NodeId{3}, 9}, true).contains("node 3 was removed"));
    CHECK(refusal({NodeId{4}, 0}, true).contains("no server"));
    CHECK(refusal({NodeId{2}, 4}, true).contains("generation"));
}

TEST_CASE("an agent's registry may be old: a suspension may be over, unknown nodes are of later") {
    CHECK(refusal({NodeId{2}, 5}).contains("suspended"));
    CHECK(refusal({NodeId{2}, 5}, true).empty());
    CHECK(refusal({NodeId{2}, 6}).empty());
    CHECK(refusal({NodeId{5}, 0}).empty());
    CHECK(check_server(auth::Registry(), {NodeId{1}, 0}, false));
}
