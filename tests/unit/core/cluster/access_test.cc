#include "core/cluster/access.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/core/cluster/rows.h"

using namespace smackd;
using core::NodeId;
using core::cluster::Access;
using core::cluster::AccessChange;
using core::cluster::CertifiedNode;
using core::cluster::RaftRole;
using core::cluster::RaftStanding;
using core::cluster::Registry;
using test::rows;

namespace {

Registry::Rows suspended(Registry::Rows state, std::initializer_list<size_t> ids) {
    for (const size_t id : ids) state.machines[id - 1].set_state(wire::MACHINE_SUSPENDED);
    return state;
}

std::shared_ptr<const Registry> registry(Registry::Rows state) {
    return std::make_shared<const Registry>(std::move(state));
}

RaftStanding voters(std::initializer_list<uint64_t> ids) {
    RaftStanding raft;
    for (const uint64_t id : ids) raft.servers.push_back({NodeId{id}, RaftRole::kVoter});
    return raft;
}

CertifiedNode server(uint64_t id) {
    return {"c", NodeId{id}, 0, true};
}

AccessChange follow(Access& access, std::shared_ptr<const Registry> state, RaftStanding raft) {
    AccessChange change = access.follow(std::move(raft));
    AccessChange later = access.follow(std::move(state));
    for (auto& cut : later.cut) change.cut.push_back(std::move(cut));
    change.dial = std::move(later.dial);
    return change;
}

std::string cut(const AccessChange& change) {
    std::string ids;
    for (const auto& one : change.cut) ids += std::to_string(one.node.value) + " ";
    return ids;
}

}  // namespace

TEST_CASE("a caller is in the registry, and a server in the configuration or of this epoch") {
    Access access(NodeId{1});
    access.follow(voters({1, 2}));
    CHECK(access.check(server(2))->server);
    CHECK_FALSE(access.check(server(3)));
    follow(access, registry(rows(3)), voters({1, 2}));
    CHECK(access.check(server(3))->server);  // may be added any moment
    CHECK_FALSE(access.check({"c", NodeId{9}, 0, false})->server);
    CHECK_FALSE(access.check({"other", NodeId{2}, 0, true}));

    Registry::Rows recovered = rows(3);
    recovered.revision = {2, 6};
    RaftStanding alone = voters({1});
    alone.recoveries = 1;
    follow(access, registry(recovered), alone);
    CHECK(access.check(server(3)).error().message.contains("older epoch"));
}

TEST_CASE("who is refused by the new registry is cut, who is back is dialled") {
    Access access(NodeId{1});
    follow(access, registry(rows(3)), voters({1, 2, 3}));
    Registry::Rows state = suspended(rows(3), {2});
    state.nodes.pop_back();
    CHECK(cut(follow(access, registry(state), voters({1, 2, 3}))) == "2 9 ");
    CHECK_FALSE(access.check(server(2)));
    const auto back = follow(access, registry(rows(3)), voters({1, 2, 3}));
    CHECK(back.cut.empty());
    REQUIRE(back.dial.size() == 1);
    CHECK(back.dial[0].address == "m2:5055");
    CHECK(follow(access, registry(rows(3)), voters({1, 2, 3})).dial.empty());
}

TEST_CASE("who came in before the registry was read is cut when it refuses") {
    Access access(NodeId{1});
    access.follow(voters({1, 2, 3}));
    CHECK(access.check(server(3)));
    CHECK(cut(follow(access, registry(suspended(rows(3), {3})), voters({1, 2, 3}))) == "3 ");

    Access late(NodeId{1});
    late.follow(voters({1, 2, 3}));
    CHECK(late.check(server(3)));
    CHECK(cut(follow(late, registry(suspended(rows(3), {3})), voters({1, 2}))) == "3 ");
}

TEST_CASE("voters without whom nothing can be agreed on are heard until they are out of the configuration") {
    Access access(NodeId{1});
    follow(access, registry(rows(3)), voters({1, 2, 3}));
    const auto two = registry(suspended(rows(3), {2, 3}));
    CHECK(cut(follow(access, two, voters({1, 2, 3}))).empty());
    CHECK(access.check(server(2)));
    // The leader has taken one out: the other is half of two.
    CHECK(cut(follow(access, two, voters({1, 3}))) == "2 ");
    CHECK_FALSE(access.check(server(2)));
    CHECK(access.check(server(3)));
    CHECK(cut(follow(access, two, voters({1}))) == "3 ");
}

TEST_CASE("a voter with an outdated certificate is heard while the others are too few, and never a thief's") {
    Registry::Rows state = suspended(rows(3), {3});
    state.machines[1].set_generation(1);
    state.nodes[1].set_generation(1);
    const CertifiedNode renewed{"c", NodeId{2}, 1, true};
    Access access(NodeId{1});
    follow(access, registry(state), voters({1, 2, 3}));
    CHECK_FALSE(access.check(server(3)));
    CHECK(access.check(server(2)));
    CHECK(access.check(server(3)));
    CHECK(access.check(renewed));
    CHECK_FALSE(access.check(server(3)));
    CHECK_FALSE(access.check(server(2)));  // its new certificate was seen: this one is not its own

    Access of_standby(NodeId{1});
    follow(of_standby, registry(state), voters({1, 3}));
    CHECK_FALSE(of_standby.check(server(2)));
}

TEST_CASE("a server that was away hears who came later, until it knows them") {
    Access access(NodeId{1});
    follow(access, registry(rows(3)), voters({1, 2, 3}));
    CHECK(access.check(server(12))->server);
    CHECK_FALSE(access.check({"c", NodeId{12}, 0, false}));  // an agent may ask another
    CHECK_FALSE(access.check(server(7)));                    // had come before, and is gone
    Registry::Rows later = rows(3);
    later.last_node_id = 12;
    CHECK(cut(follow(access, registry(later), voters({1, 2, 3}))) == "12 ");
}

TEST_CASE("a server that was away asks newcomers where they say that they are, and nobody whom it refuses") {
    Registry::Rows state = rows(2);
    state.nodes.erase(state.nodes.begin());  // 1 is gone, and 2 suspended as far as is known here
    Access access(NodeId{3});
    follow(access, registry(suspended(state, {2})), voters({2, 3}));
    access.note_address(NodeId{2}, "m2:5055");
    CHECK(access.check(server(12)));
    CHECK_FALSE(access.ask(0));
    access.note_address(NodeId{12}, "m12:5055");
    CHECK(access.ask(0)->id == NodeId{12});
    CHECK(access.ask(1)->address == "m12:5055");
    Registry::Rows later = rows(2);
    later.last_node_id = 12;  // 12 is gone again
    later.revision = {1, 6};
    access.hear(registry(later));
    CHECK(access.ask(0)->id != NodeId{12});
    CHECK(access.ask(1)->id != NodeId{12});
}

TEST_CASE("a server that was away hears who has joined again, until it knows that") {
    Registry::Rows state = rows(3);
    state.machines[1].set_generation(1);  // 2 must join again, for all that is known here
    Access access(NodeId{1});
    follow(access, registry(state), voters({1, 2, 3}));
    CHECK(!access.check(server(2)));
    CHECK(access.check({"c", NodeId{2}, 1, true}));
    CHECK(access.lets_in(NodeId{2}));
    CHECK(!access.check({"c", NodeId{2}, 1, false}));  // an agent waits
    state.nodes[1].set_generation(1);
    state.revision = {1, 6};
    CHECK(cut(access.follow(registry(state))).empty());
    CHECK(access.check({"c", NodeId{2}, 1, true})->address == "m2:5055");
}

TEST_CASE(
    "a server without a leader goes by a newer registry that another one tells, until its own is newer") {
    Access access(NodeId{3});
    follow(access, registry(suspended(rows(3), {1})), voters({1, 2, 3}));
    CHECK_FALSE(access.check(server(1)));
    REQUIRE(access.ask(0));
    CHECK(access.ask(0)->id.value == 2);
    CHECK(access.ask(1)->id.value == 2);
    access.follow(RaftStanding{});  // nothing has come yet: those whom it refuses are asked, too
    CHECK(access.ask(0)->id.value == 1);
    CHECK(access.ask(1)->id.value == 2);
    access.follow(voters({1, 2, 3}));
    Registry::Rows newer = rows(3);
    newer.revision = {1, 9};
    const auto told = Registry::decode(Registry(newer).to_wire().SerializeAsString(), "c");
    REQUIRE(told);
    const auto change = access.hear(registry(newer));
    REQUIRE(change.dial.size() == 1);
    CHECK(change.dial[0].id.value == 1);
    CHECK(access.check(server(1)));
    access.follow(registry(suspended(rows(3), {1})));  // read anew, still of before
    CHECK(access.check(server(1)));
    Registry::Rows own = suspended(rows(3), {1});
    own.revision = {1, 10};
    CHECK(cut(access.follow(registry(own))) == "1 ");
    CHECK(access.hear(registry(newer)).dial.empty());
}

TEST_CASE("a server without a configuration is told of voters that are needed although they are refused") {
    Access leader(NodeId{1});
    const auto state = registry(suspended(rows(3), {1}));
    follow(leader, state, voters({1}));
    Access blank(NodeId{3});
    blank.follow(state);
    CHECK_FALSE(blank.check(server(1)));
    CHECK_FALSE(blank.heeds(*state));
    const auto told = leader.tell();
    REQUIRE(told);
    REQUIRE(blank.heeds(*told));  // of the same revision
    const auto change = blank.hear(std::make_shared<const Registry>(*told));
    REQUIRE(change.dial.size() == 1);
    CHECK(change.dial[0].address == "m1:5055");
    CHECK(blank.check(server(1)));
    CHECK_FALSE(blank.heeds(*told));
    follow(leader, state, voters({1, 2, 3}));  // two others can go on without it
    CHECK_FALSE(leader.tell()->check(NodeId{1}));
}

TEST_CASE("a needed voter that has no row any more is heard, but neither dialled nor asked") {
    Registry::Rows state = rows(3);
    state.nodes.erase(state.nodes.begin());
    Access leader(NodeId{1});
    follow(leader, registry(state), voters({1}));
    Access blank(NodeId{3});
    blank.follow(registry(state));
    CHECK(blank.hear(std::make_shared<const Registry>(*leader.tell())).dial.empty());  // no address is known
    CHECK(blank.check(server(1)));
    CHECK(blank.ask(0)->id.value == 2);
    CHECK(blank.ask(1)->id.value == 2);
}

TEST_CASE("a server that has a configuration and no registry asks the servers of that") {
    Access access(NodeId{3});
    CHECK_FALSE(access.ask(0));
    RaftStanding raft = voters({1, 2, 3});
    raft.servers[1].address = "m2:5055";
    access.follow(raft);
    CHECK_FALSE(access.check(server(4)));
    REQUIRE(access.ask(0));
    CHECK(access.ask(0)->address == "m2:5055");
    const auto told = registry(rows(4));
    REQUIRE(access.heeds(*told));
    access.hear(told);
    CHECK(access.check(server(4)));
}

TEST_CASE("a registry comes over the wire as it is, and from this cluster alone") {
    const Registry sent(suspended(rows(3), {2}));
    const auto told = Registry::decode(sent.to_wire().SerializeAsString(), "c");
    REQUIRE(told);
    CHECK(told->revision() == sent.revision());
    CHECK(told->last_node_id() == sent.last_node_id());
    CHECK(told->admitted().size() == sent.admitted().size());
    CHECK(told->check(NodeId{2}).error().message == sent.check(NodeId{2}).error().message);
    CHECK_FALSE(Registry::decode(sent.to_wire().SerializeAsString(), "other"));
    CHECK_FALSE(Registry::decode("no registry", "c"));
}
