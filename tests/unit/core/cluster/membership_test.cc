#include "core/cluster/membership.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using core::cluster::MembershipChange;
using core::cluster::MembershipView;
using core::cluster::RaftRole;
using core::cluster::RaftServer;
using Kind = MembershipChange::Kind;

namespace {

std::string address(uint64_t id) {
    return "n" + std::to_string(id) + ":5055";
}

/// A cluster of bootstrapped node 1 and `joined` further allowed servers of epoch 1; Raft knows node 1.
MembershipView view(uint64_t joined) {
    MembershipView made{core::NodeId{1}, 1, {{core::NodeId{1}, RaftRole::kVoter}}, {}, {}};
    for (uint64_t id = 1; id <= joined + 1; ++id)
        made.allowed.push_back({core::NodeId{id}, address(id), 1U, {}});
    return made;
}

/// Makes the decided changes until there is none; the words tell them.
std::string settle(MembershipView& state) {
    std::string story;
    while (auto change = core::cluster::decide_membership(state)) {
        story += std::string(core::cluster::membership_change_name(change->kind)) + " " +
                 std::to_string(change->node.value) + "; ";
        auto at = std::ranges::find(state.raft, change->node, &RaftServer::id);
        if (change->kind == Kind::kAdd) state.raft.push_back({change->node, RaftRole::kStandby});
        if (change->kind == Kind::kPromote) at->role = RaftRole::kVoter;
        if (change->kind == Kind::kFill || change->kind == Kind::kDemote) at->role = RaftRole::kStandby;
        if (change->kind == Kind::kRemove) state.raft.erase(at);
        if (change->kind == Kind::kHandOver) break;
    }
    return story;
}

}  // namespace

TEST_CASE("servers that joined become standbys, then voters to an odd number") {
    MembershipView one = view(0);
    CHECK(settle(one).empty());
    MembershipView two = view(1);
    CHECK(settle(two) == "add standby 2; ");
    MembershipView three = view(2);
    CHECK(settle(three) == "add standby 2; add standby 3; promote to voter 2; promote to voter 3; ");
    MembershipView four = view(3);
    CHECK(settle(four) ==
          "add standby 2; add standby 3; add standby 4; promote to voter 2; promote to voter 3; ");
    MembershipView six = view(5);
    settle(six);
    CHECK(std::ranges::count(six.raft, RaftRole::kVoter, &RaftServer::role) == 5);
}

TEST_CASE("a removed server leaves before anything else, a removed leader hands over first") {
    MembershipView state = view(3);
    settle(state);
    std::erase_if(state.allowed, [](const auto& server) { return server.id.value == 3; });
    CHECK(settle(state) == "remove 3; promote to voter 4; ");
    std::erase_if(state.allowed, [](const auto& server) { return server.id.value == 1; });
    CHECK(settle(state) == "hand over leadership 1; ");
    state.self = core::NodeId{2};
    CHECK(settle(state).starts_with("remove 1; "));
}

TEST_CASE("a server that joined in an older epoch is not taken in") {
    MembershipView state = view(1);
    state.epoch = 2;
    CHECK(settle(state).empty());
}

TEST_CASE("the last voter stays, whatever the registry says, until there is another") {
    MembershipView state = view(0);
    state.allowed.clear();
    CHECK(settle(state).empty());
    state.allowed.push_back({core::NodeId{2}, address(2), 1, {}});
    CHECK(settle(state) == "add standby 2; promote to voter 2; hand over leadership 1; ");
}

TEST_CASE("of more voters than wanted one becomes a standby, but never the leader, and a pair stays") {
    MembershipView state = view(4);
    settle(state);
    std::erase_if(state.allowed, [](const auto& server) { return server.id.value == 3; });
    CHECK(settle(state) == "remove 3; demote to standby 5; ");
    state.self = core::NodeId{4};
    std::erase_if(state.allowed, [](const auto& server) { return server.id.value <= 2; });
    CHECK(settle(state) == "remove 1; remove 2; ");
    CHECK(state.raft[0].role == RaftRole::kVoter);
}

TEST_CASE("a server left half-way between its two steps is filled first") {
    MembershipView state = view(2);
    state.raft.push_back({core::NodeId{2}, RaftRole::kSpare});
    CHECK(settle(state) == "add standby 3; make standby 2; promote to voter 2; promote to voter 3; ");
}

TEST_CASE("a standby that does not come along is passed over") {
    MembershipView state = view(3);
    settle(state);
    state.raft[1].role = RaftRole::kStandby;
    state.failures[core::NodeId{2}] = 1;
    CHECK(settle(state) == "promote to voter 4; ");
}

TEST_CASE("a silent voter is replaced by a standby that is heard, and stays as a standby") {
    MembershipView state = view(3);
    settle(state);  // 1, 2 and 3 vote, 4 stands by
    state.raft[1].silent = true;
    CHECK(settle(state) == "promote to voter 4; demote to standby 2; ");
    state.raft[1].silent = false;
    CHECK(settle(state).empty());
    // Nobody is there to replace it.
    state.raft[1].silent = state.raft[2].silent = true;
    CHECK(settle(state).empty());
}

TEST_CASE("voters are spread over zones") {
    MembershipView state = view(5);
    state.allowed.resize(4);
    settle(state);  // of one zone: 1, 2 and 3 vote
    for (size_t i = 0; i < 3; ++i) state.allowed[i].zone = "a";
    state.allowed[3].zone = "b";
    CHECK(settle(state) == "promote to voter 4; demote to standby 3; ");
    state.allowed.push_back({core::NodeId{5}, address(5), 1U, "c"});
    state.allowed.push_back({core::NodeId{6}, address(6), 1U, "b"});
    // Five vote now: one more of each zone, where there is one.
    CHECK(settle(state) == "add standby 5; add standby 6; promote to voter 5; promote to voter 6; ");
}

TEST_CASE("a standby that could not be made a voter is tried again for its zone's sake, after all else") {
    MembershipView state = view(3);
    settle(state);
    for (size_t i = 0; i < 3; ++i) state.allowed[i].zone = "a";
    state.allowed[3].zone = "b";
    state.failures[core::NodeId{4}] = 2;
    state.allowed.push_back({core::NodeId{5}, address(5), 1U, "a"});
    auto next = core::cluster::decide_membership(state);
    CHECK(next->kind == Kind::kAdd);
    state.failures[core::NodeId{5}] = 2;  // cannot be added: by turns
    CHECK(core::cluster::decide_membership(state)->kind == Kind::kAdd);
    state.failures[core::NodeId{5}] = 3;
    next = core::cluster::decide_membership(state);
    CHECK(next->kind == Kind::kPromote);
    CHECK(next->node == core::NodeId{4});
}

TEST_CASE("a server that cannot be added does not stand in the way of the others") {
    MembershipView state = view(2);
    state.failures[core::NodeId{2}] = 3;
    auto next = core::cluster::decide_membership(state);
    CHECK(next->node == core::NodeId{3});
    state.raft.push_back({core::NodeId{3}, RaftRole::kStandby});
    next = core::cluster::decide_membership(state);
    CHECK(next->kind == Kind::kAdd);
    CHECK(next->node == core::NodeId{2});
}
