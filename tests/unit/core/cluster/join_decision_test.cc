#include "core/cluster/join_decision.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using core::Errc;
using core::cluster::decide_join;
using core::cluster::JoinClaim;
using core::cluster::JoinFacts;
using core::cluster::refusal_of_apply;

namespace {

JoinFacts facts() {
    JoinFacts state{
        .machine = wire::PutMachine(), .node = {}, .last_node_id = 3, .epoch = 2, .feature_level = 2};
    state.machine->set_name("m4");
    state.machine->add_roles("server");
    state.machine->set_state(wire::MACHINE_ALLOWED);
    state.machine->set_generation(5);
    return state;
}

JoinClaim claim() {
    return {"m4", "smack/m4@R", true, "key", {}};
}

wire::JoinRequest request() {
    wire::JoinRequest wish;
    wish.set_feature_level(2);
    wish.set_address("m4:5055");
    return wish;
}

wire::PutNode node(const std::string& key) {
    wire::PutNode row;
    row.set_node_id(2);
    row.set_machine("m4");
    row.set_public_key_sha256(key);
    return row;
}

std::string reason(const JoinFacts& state, const wire::JoinRequest& wish) {
    const auto decided = decide_join(state, claim(), wish);
    return decided ? "" : decided.error().reason;
}

}  // namespace

TEST_CASE("a registered machine becomes a node with a new id, at its machine's generation") {
    const auto admit = decide_join(facts(), claim(), request());
    REQUIRE(admit);
    CHECK(admit->node_id() > 3);
    CHECK(admit->generation() == 5);
    CHECK(admit->roles(0) == "server");
    CHECK(admit->proved_by_kerberos());
}

TEST_CASE("who may not join hears why") {
    JoinFacts state = facts();
    state.machine.reset();
    CHECK(reason(state, request()) == "not_registered");
    state = facts();
    state.machine->set_state(wire::MACHINE_SUSPENDED);
    CHECK(reason(state, request()) == "suspended");
    state = facts();
    state.feature_level = 1;
    CHECK(reason(state, request()) == "feature_level");
    wire::JoinRequest old = request();
    old.set_feature_level(1);
    CHECK(reason(facts(), old) == "feature_level");
    wire::JoinRequest of_before = request();
    of_before.set_epoch(1);
    CHECK(reason(facts(), of_before) == "older_epoch");
    wire::JoinRequest removed = request();
    removed.set_node_id(2);
    CHECK(reason(facts(), removed) == "removed");
    wire::JoinRequest agent = request();
    agent.set_role("agent");
    CHECK(reason(facts(), agent) == "role");
}

TEST_CASE("a machine that has a node is let in again with that node's key alone") {
    JoinFacts state = facts();
    state.node = node("another key");
    CHECK(reason(state, request()) == "joined_already");
    state.node = node("key");
    CHECK(decide_join(state, claim(), request())->node_id() == 2);
    JoinClaim renewal = claim();
    renewal.key_sha256 = "next key";
    renewal.proved_key_sha256 = "key";
    CHECK(decide_join(state, renewal, request())->node_id() == 2);
    state.node->set_zone("hall-2");
    CHECK(decide_join(state, renewal, request())->zone() == "hall-2");
    wire::JoinRequest moved = request();
    moved.set_zone("hall-3");
    CHECK(decide_join(state, renewal, moved)->zone() == "hall-3");
    wire::JoinRequest other = request();
    other.set_node_id(1);
    CHECK(reason(state, other) == "joined_already");
}

TEST_CASE("a conflict in apply is a race as long as the machine had no node") {
    JoinFacts state = facts();
    CHECK(refusal_of_apply(state, {Errc::kConflict, "taken", 0}).reason == "raced");
    state.node = node("key");
    CHECK(refusal_of_apply(state, {Errc::kConflict, "taken", 0}).reason == "joined_already");
    CHECK(refusal_of_apply(state, {Errc::kDenied, "no", 0}).reason == "registry");
}
