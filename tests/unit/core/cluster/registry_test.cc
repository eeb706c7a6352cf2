#include "core/cluster/registry.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/core/cluster/rows.h"

using namespace smackd;
using core::Errc;
using core::NodeId;
using core::cluster::CertifiedNode;
using core::cluster::is_not_known_yet;
using core::cluster::is_removal;
using core::cluster::Registry;
using test::rows;

namespace {

CertifiedNode certified(uint64_t id, uint64_t generation = 0) {
    return {"c", NodeId{id}, generation, false};
}

std::string refusal(const Registry& registry, const CertifiedNode& node) {
    const auto admitted = registry.admit(node);
    return admitted ? "" : admitted.error().message;
}

}  // namespace

TEST_CASE("a node is let in by its machine's row, and refused with the reason") {
    Registry::Rows state = rows(3);
    CHECK(Registry(state).admit(certified(2))->address == "m2:5055");
    state.last_node_id = 9;
    CHECK(refusal(Registry(state), certified(4)) == "node 4 was removed from the cluster");
    CHECK(refusal(Registry(state), {"other", NodeId{1}, 0, false}) == "the certificate is of cluster other");
    CHECK(refusal(Registry(state), certified(2, 1)).contains("of generation 1, the node of 0"));
    state.machines[1].set_generation(1);
    CHECK(refusal(Registry(state), certified(2)).contains("must join again"));
    state.machines[1].set_generation(0);
    state.machines[1].set_state(wire::MACHINE_SUSPENDED);
    CHECK(refusal(Registry(state), certified(2)).contains("is suspended"));
    state.machines[2].clear_roles();
    CHECK(refusal(Registry(state), certified(3)).contains("does not allow any more"));
    CHECK(Registry(state).admitted().size() == 2);
}

TEST_CASE("only a node that was there and is no more is told that it was removed") {
    Registry::Rows state = rows(3);
    state.last_node_id = 9;
    state.machines[1].set_state(wire::MACHINE_SUSPENDED);
    state.machines.erase(state.machines.begin() + 2);  // its node is still there
    const Registry known{state};
    CHECK(known.check(NodeId{1}));
    for (const uint64_t id : {3U, 4U, 8U}) {
        auto checked = known.check(NodeId{id});
        REQUIRE(!checked);
        CHECK(is_removal(checked.error(), NodeId{id}));
    }
    // 10: admitted by another server, and this one has not applied it yet.
    for (const uint64_t id : {2U, 10U}) {
        auto checked = known.check(NodeId{id});
        REQUIRE(!checked);
        CHECK(checked.error().code == Errc::kDenied);
        CHECK_FALSE(is_removal(checked.error(), NodeId{id}));
        CHECK(is_not_known_yet(checked.error()) == (id == 10));
    }
}

TEST_CASE("what is said of another node, or is no refusal, removes nobody") {
    const core::Error of_seven{Errc::kDenied, "node 7 was removed from the cluster", 0};
    CHECK(is_removal(of_seven, NodeId{7}));
    CHECK_FALSE(is_removal(of_seven, NodeId{77}));
    CHECK_FALSE(is_removal(of_seven, NodeId{1}));
    CHECK_FALSE(is_removal({Errc::kUnavailable, of_seven.message, 0}, NodeId{7}));
    CHECK_FALSE(is_removal({Errc::kDenied, "node 7 is no server of this cluster", 0}, NodeId{7}));
}

TEST_CASE("a voter that is needed is let in whatever its row says") {
    Registry::Rows state = rows(2);
    state.machines[0].set_state(wire::MACHINE_SUSPENDED);
    Registry registry(state);
    registry.let_in(NodeId{1}, "m1:5055");
    registry.let_in(NodeId{7}, "m7:5055");
    CHECK(registry.admit(certified(1))->server);
    CHECK(registry.check(NodeId{7})->address == "m7:5055");
}
