#include "auth/registry.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::auth {
namespace {

using core::Errc;
using core::NodeId;

wire::PutMachine machine(const std::string& name, wire::MachineState state) {
    wire::PutMachine row;
    row.set_name(name);
    row.set_state(state);
    row.set_generation(1);
    row.add_roles("server");
    return row;
}

wire::PutNode node(uint64_t id, const std::string& machine) {
    wire::PutNode row;
    row.set_node_id(id);
    row.set_machine(machine);
    row.set_generation(1);
    row.add_roles("server");
    return row;
}

/// Node 2 is suspended; of the five ids that were given, 3 and 5 are gone; 4 is still there without its
/// machine.
Registry registry() {
    Registry::Rows rows;
    rows.cluster_id = "c";
    rows.epoch = 1;
    rows.last_node_id = 5;
    rows.machines = {machine("m1", wire::MACHINE_ALLOWED), machine("m2", wire::MACHINE_SUSPENDED)};
    rows.nodes = {node(1, "m1"), node(2, "m2"), node(4, "m4")};
    return Registry(std::move(rows));
}

TEST_CASE("registry: a server's KDC answers at the host of its cluster address") {
    CHECK(kdc_of_server("n1:5055", 88) == "n1:88");
    CHECK(kdc_of_server("10.0.0.1:5055", 5088) == "10.0.0.1:5088");
    CHECK(kdc_of_server("[2001:db8::1]:5055", 88) == "[2001:db8::1]:88");
}

TEST_CASE("registry: only a node that was there and is no more is told that it was removed") {
    const Registry known = registry();
    CHECK(known.check(NodeId{1}).has_value());
    for (const uint64_t id : {3U, 4U, 5U}) {
        auto checked = known.check(NodeId{id});
        REQUIRE(!checked);
        CHECK(is_removal(checked.error(), NodeId{id}));
    }
    // 6: admitted by another server, and this one has not applied it yet.
    for (const uint64_t id : {2U, 6U}) {
        auto checked = known.check(NodeId{id});
        REQUIRE(!checked);
        CHECK(checked.error().code == Errc::kDenied);
        CHECK_FALSE(is_removal(checked.error(), NodeId{id}));
        CHECK(is_not_known_yet(checked.error()) == (id == 6));
    }
}

TEST_CASE("registry: a server that has joined and has no state yet calls nobody removed") {
    const Registry told = Registry::of_members("c", {{NodeId{1}, "m1", "m1:5055", true}});
    auto checked = told.check(NodeId{7});
    REQUIRE(!checked);
    CHECK_FALSE(is_removal(checked.error(), NodeId{7}));
}

TEST_CASE("registry: what is said of another node, or is no refusal, removes nobody") {
    const core::Error of_seven{Errc::kDenied, "node 7 was removed from the cluster", 0};
    CHECK(is_removal(of_seven, NodeId{7}));
    CHECK_FALSE(is_removal(of_seven, NodeId{77}));
    CHECK_FALSE(is_removal(of_seven, NodeId{1}));
    CHECK_FALSE(is_removal({Errc::kUnavailable, of_seven.message, 0}, NodeId{7}));
    CHECK_FALSE(is_removal({Errc::kDenied, "node 7 is no server of this cluster", 0}, NodeId{7}));
}

}  // namespace
}  // namespace smackd::auth
