// The rules of membership, after memberlist's state_test and net_test; no clock, no network.
#include "tests/unit/core/gossip/one_member.h"

namespace smackd::core::gossip {
namespace {

TEST_CASE("alive: a new member joins once, however often it is heard of") {
    One one;
    REQUIRE(one.hear(2, encode_alive(member(2))));
    REQUIRE(one.hear(2, encode_alive(member(2))));
    REQUIRE(one.hear(3, encode_alive(member(2))));
    one.take();
    CHECK(one.happened(MemberEventKind::kJoined, 2) == 1);
    CHECK(one->live() == 2);
}

TEST_CASE("alive: an older incarnation changes nothing, a newer one does") {
    One one({2});
    Member moved = member(2, 3);
    moved.addresses = {"elsewhere"};
    REQUIRE(one.hear(2, encode_alive(moved)));
    REQUIRE(one.hear(2, encode_alive(member(2, 2))));
    one.take();
    CHECK(one->find(NodeId{2})->addresses.front() == "elsewhere");
    CHECK(one.happened(MemberEventKind::kUpdated, 2) == 1);
}

TEST_CASE("alive: the same incarnation from another address is a conflict and is not believed") {
    One one({2});
    Member twin = member(2);
    twin.addresses = {"elsewhere"};
    REQUIRE(one.hear(3, encode_alive(twin)));
    one.take();
    CHECK(one.happened(MemberEventKind::kConflict, 2) == 1);
    CHECK(one->find(NodeId{2})->addresses.front() == "h2");
}

TEST_CASE("alive: an earlier life of ours is outdone") {
    One one({2});
    Member before = member(1, 40);
    before.metadata = "old";
    REQUIRE(one.hear(2, encode_alive(before)));
    CHECK(one->self().incarnation == 41);
}

TEST_CASE("alive: replayed after death it does not bring back") {
    One one({2});
    REQUIRE(one.hear(3, encode_dead(member(2), NodeId{3})));
    REQUIRE(one.hear(3, encode_alive(member(2))));
    CHECK(one.state(2) == MemberState::kDead);
    REQUIRE(one.hear(2, encode_alive(member(2, 2))));
    one.take();
    CHECK(one.state(2) == MemberState::kAlive);
    CHECK(one.happened(MemberEventKind::kJoined, 2) == 2);
}

TEST_CASE("suspect: idempotent, of unknown members and old incarnations ignored") {
    One one({2, 3, 4, 5});
    REQUIRE(one.hear(3, encode_suspect(member(9), NodeId{3})));
    REQUIRE(one.hear(3, encode_suspect(member(2, 0), NodeId{3})));
    CHECK(one.state(2) == MemberState::kAlive);
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));
    one.take();
    CHECK(one.happened(MemberEventKind::kSuspected, 2) == 1);
    REQUIRE(one.hear(2, encode_alive(member(2, 2))));
    one.take();
    CHECK(one.state(2) == MemberState::kAlive);
    CHECK(one.happened(MemberEventKind::kAlive, 2) == 1);
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));  // replayed
    CHECK(one.state(2) == MemberState::kAlive);
}

TEST_CASE("suspect: confirmations are passed on and bring the end near; others outlive it") {
    One one({2, 3, 4, 5});
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{4})));
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{5})));
    const std::map<uint64_t, bool> others = {{3, true}, {4, true}, {5, true}};
    one.run(milliseconds(2300), others);
    CHECK(one.state(2) == MemberState::kSuspect);
    one.run(milliseconds(400), others);
    CHECK(one.state(2) == MemberState::kDead);
    CHECK(one.happened(MemberEventKind::kUnreachable, 2) == 1);
    CHECK(one.state(3) == MemberState::kAlive);
}

TEST_CASE("suspect: alone with one accusation it takes long") {
    One one({2, 3, 4, 5});
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));
    one.run(seconds(4), {{3, true}, {4, true}, {5, true}, {2, false}});
    CHECK(one.state(2) == MemberState::kSuspect);
}

TEST_CASE("suspect and dead: who is accused refutes with a higher incarnation and is careful") {
    One one({2});
    REQUIRE(one.hear(2, encode_suspect(member(1), NodeId{2}) + encode_ping(5, NodeId{1})));
    one.take();
    CHECK(one->self().incarnation == 2);
    CHECK(one->health_score() == 1);
    CHECK(one.count(2, [](const auto& m) { return m.has_alive() && m.alive().incarnation() == 2; }) >= 1);
    CHECK(one.count(2, [](const auto& m) { return m.has_ack() && m.ack().sequence() == 5; }) == 1);
    one.clear();
    // An accusation of what we were is answered, but is no reason for another incarnation.
    REQUIRE(one.hear(2, encode_dead(member(1), NodeId{2}) + encode_ping(6, NodeId{1})));
    one.take();
    CHECK(one->self().incarnation == 2);
    CHECK(one.count(2, [](const auto& m) { return m.has_alive(); }) >= 1);
}

TEST_CASE("dead: idempotent, of old incarnations ignored; left is another thing") {
    One one({2, 3});
    REQUIRE(one.hear(3, encode_dead(member(2, 0), NodeId{3})));
    CHECK(one.state(2) == MemberState::kAlive);
    REQUIRE(one.hear(3, encode_dead(member(2), NodeId{3})));
    REQUIRE(one.hear(3, encode_dead(member(2), NodeId{3})));
    REQUIRE(one.hear(3, encode_left(member(3))));
    one.take();
    CHECK(one.happened(MemberEventKind::kUnreachable, 2) == 1);
    CHECK(one.happened(MemberEventKind::kLeft, 3) == 1);
    CHECK(one.happened(MemberEventKind::kUnreachable, 3) == 0);
    CHECK(one->live() == 1);
}

TEST_CASE("a higher generation is another life and beats every incarnation") {
    One one({2});
    REQUIRE(one.hear(2, encode_alive(member(2, 50))));
    Member reborn = member(2, 1);
    reborn.generation = 2;
    REQUIRE(one.hear(2, encode_alive(reborn), 2));
    CHECK(one->find(NodeId{2})->generation == 2);
    REQUIRE(one.hear(3, encode_dead(member(2, 60), NodeId{3})));  // of the old one
    CHECK(one.state(2) == MemberState::kAlive);
}

TEST_CASE("probe: silence leads to helpers, then to a suspicion") {
    One one({2, 3, 4, 5});
    const std::map<uint64_t, bool> others = {{3, true}, {4, true}, {5, true}};
    one.run(seconds(3), others);
    CHECK(one.count(
              0, [](const auto& m) { return m.has_ping_request() && m.ping_request().target() == 2; }) >= 3);
    CHECK(one.count(0, [](const auto& m) {
        return m.has_suspect() && m.suspect().node() == 2 && m.suspect().from() == 1;
    }) >= 1);
    CHECK(one.state(2) == MemberState::kSuspect);
    CHECK(one->health_score() == 0);  // its helpers said nack: the fault is not ours
    CHECK(one.state(3) == MemberState::kAlive);
}

TEST_CASE("probe: the ping to a suspect tells it so") {
    One one({2, 3, 4, 5});
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3})));
    one.clear();
    one.run(seconds(3), {{3, true}, {4, true}, {5, true}});
    bool told = false;
    for (const auto& [to, packet] : one.said) {
        if (to != 2 || !packet.messages(0).has_ping()) continue;
        told = true;
        CHECK(packet.messages(1).suspect().node() == 2);
    }
    CHECK(told);
}

TEST_CASE("probe: helpers that do not even say nack make us doubt ourselves") {
    One one({2, 3, 4, 5});
    one.run(milliseconds(1600), {});
    CHECK(one->health_score() >= 3);
}

TEST_CASE("probe: an acknowledgement by another than the target does not count") {
    One one({2, 3, 4, 5});
    one.run(milliseconds(500), {});
    one.take();
    REQUIRE_FALSE(one.said.empty());
    const auto [target, packet] = one.said.front();
    const uint32_t sequence = packet.messages(0).ping().sequence();
    const uint64_t other = target == 2 ? 3 : 2;
    REQUIRE(one.hear(other, encode_ack(sequence, NodeId{other})));
    one.run(seconds(1), {});
    CHECK(one.state(target) == MemberState::kSuspect);
}

TEST_CASE("a ping for another node is not answered, one for us is") {
    One one({2});
    one.clear();
    REQUIRE(one.hear(2, encode_ping(5, NodeId{7})));
    one.take();
    CHECK(one.count(0, [](const auto& m) { return m.has_ack(); }) == 0);
    CHECK(one->counts().wrong_target == 1);
    REQUIRE(one.hear(2, encode_ping(5, NodeId{1})));
    one.take();
    CHECK(one.count(2, [](const auto& m) { return m.has_ack(); }) == 1);
}

TEST_CASE("a helper pings, passes the answer on, or says nack in time") {
    One one({2, 3});
    one.clear();
    REQUIRE(one.hear(2, encode_ping_request(77, member(3))));
    one.take();
    uint32_t sequence = 0;
    for (const auto& [to, packet] : one.said) {
        if (to == 3 && packet.messages(0).has_ping()) sequence = packet.messages(0).ping().sequence();
    }
    REQUIRE(sequence != 0);
    REQUIRE(one.hear(2, encode_ack(sequence, NodeId{3})));  // not by the target
    one.take();
    CHECK(one.count(2, [](const auto& m) { return m.has_ack(); }) == 0);
    one.run(milliseconds(170), {});
    CHECK(one.count(2, [](const auto& m) { return m.has_nack() && m.nack().sequence() == 77; }) == 1);
    REQUIRE(one.hear(3, encode_ack(sequence, NodeId{3})));  // late is better than never
    one.take();
    CHECK(one.count(2, [](const auto& m) {
        return m.has_ack() && m.ack().sequence() == 77 && m.ack().node() == 3;
    }) == 1);
}

TEST_CASE("who accuses by an old incarnation and asks for help is told the newer one") {
    One one({2, 3});
    REQUIRE(one.hear(3, encode_alive(member(3, 8))));
    one.clear();
    REQUIRE(one.hear(2, encode_ping_request(9, member(3)) + encode_suspect(member(3, 7), NodeId{2})));
    one.take();
    CHECK(one.count(2, [](const auto& m) { return m.has_alive() && m.alive().incarnation() == 8; }) >= 1);
}

TEST_CASE("a node that stood still does not judge by time in which it did not listen") {
    One one({2, 3, 4, 5});
    REQUIRE(one.hear(3, encode_suspect(member(2), NodeId{3}) + encode_suspect(member(2), NodeId{4}) +
                            encode_suspect(member(2), NodeId{5})));
    one.run(milliseconds(1000), {{3, true}, {4, true}, {5, true}});
    REQUIRE(one.state(2) == MemberState::kSuspect);
    one.now_ = one.now_ + seconds(20);
    one->on_timer(one.now_);
    CHECK(one->counts().pauses == 1);
    CHECK(one.state(2) == MemberState::kSuspect);
    REQUIRE(one.hear(2, encode_alive(member(2, 2))));
    CHECK(one.state(2) == MemberState::kAlive);
    for (const uint64_t id : {3U, 4U, 5U}) CHECK(one.state(id) == MemberState::kAlive);
}

TEST_CASE("a heartbeat on a stream is an answer, a reset brings the probe forward") {
    One one({2, 3, 4, 5});
    for (int i = 0; i < 20; ++i) {
        one->on_direct_evidence(NodeId{2}, true, one.now_);
        one.run(milliseconds(250), {{3, true}, {4, true}, {5, true}});
    }
    CHECK(one.state(2) == MemberState::kAlive);
    CHECK(one.count(2, [](const auto& m) { return m.has_ping(); }) == 0);
    one.clear();
    one->on_direct_evidence(NodeId{2}, false, one.now_);
    one.take();
    CHECK(one.count(2, [](const auto& m) { return m.has_ping(); }) == 1);
    CHECK(one.state(2) == MemberState::kAlive);
}

TEST_CASE("a member without an address is watched by its holder's stream alone") {
    One one({2, 3, 4, 5});
    Member agent = member(9);
    agent.addresses.clear();
    agent.holder = NodeId{1};
    REQUIRE(one.hear(2, encode_alive(agent)));
    const std::map<uint64_t, bool> all = {{2, true}, {3, true}, {4, true}, {5, true}};
    for (int i = 0; i < 20; ++i) {
        one->on_direct_evidence(NodeId{9}, true, one.now_);
        one.run(milliseconds(500), all);
    }
    CHECK(one.state(9) == MemberState::kAlive);
    CHECK(one.count(9, [](const auto& m) { return m.has_ping(); }) == 0);
    one.run(milliseconds(2000), all);
    CHECK(one.state(9) == MemberState::kSuspect);
    one.run(milliseconds(3000), all);
    CHECK(one.state(9) == MemberState::kDead);
}

TEST_CASE("when the holder of a stream dies, its members are suspected unless they find another") {
    One one({2, 3, 4, 5});
    Member agent = member(9);
    agent.addresses.clear();
    agent.holder = NodeId{2};
    REQUIRE(one.hear(3, encode_alive(agent)));
    REQUIRE(one.hear(3, encode_dead(member(2), NodeId{3})));
    const std::map<uint64_t, bool> others = {{3, true}, {4, true}, {5, true}};
    one.run(milliseconds(2000), others);
    CHECK(one.state(9) == MemberState::kSuspect);
    agent.incarnation = 2;
    agent.holder = NodeId{3};
    REQUIRE(one.hear(3, encode_alive(agent)));
    one.run(seconds(10), others);
    CHECK(one.state(9) == MemberState::kAlive);
}

TEST_CASE("registry: removed nodes and old generations are refused with a reason") {
    One one({2, 3});
    one->set_allowed({{NodeId{1}, 1}, {NodeId{3}, 2}}, one.now_);
    one.take();
    CHECK(one.happened(MemberEventKind::kRemoved, 2) == 1);
    CHECK(one.happened(MemberEventKind::kRemoved, 3) == 1);  // of an older generation
    const auto removed = one.hear(2, encode_alive(member(2, 9)));
    REQUIRE_FALSE(removed);
    CHECK(removed.error().code == Errc::kDenied);
    CHECK(removed.error().message.contains("node 2 of generation 1 is not in the machine registry"));
    CHECK_FALSE(one.hear(3, encode_alive(member(3, 9)), 1));
    Member reborn = member(3);
    reborn.generation = 2;
    CHECK(one.hear(3, encode_alive(reborn) + encode_alive(member(2, 9)), 2));
    CHECK(one->find(NodeId{2}) == nullptr);  // nor by the word of another
    CHECK(one->live() == 2);
    CHECK(one->counts().packets_refused == 2);
    CHECK_FALSE(one.hear(1, encode_ping(1, NodeId{1})));  // our own id
}

TEST_CASE("leaving is said to the others and is final") {
    One one({2, 3});
    one->leave(one.now_);
    one.run(seconds(3), {{2, true}, {3, true}});
    CHECK(one->left());
    CHECK(one.count(0, [](const auto& m) { return m.has_left() && m.left().node() == 1; }) >= 2);
    REQUIRE(one.hear(2, encode_suspect(member(1), NodeId{2})));
    CHECK(one->self().incarnation == 1);
}

TEST_CASE("metadata: a change is a new incarnation, too much is refused") {
    One one({2});
    REQUIRE(one->update_metadata("zone=b", one.now_));
    CHECK(one->self().incarnation == 2);
    one.run(milliseconds(200), {{2, true}});
    CHECK(one.count(0, [](const auto& m) { return m.has_alive() && m.alive().metadata() == "zone=b"; }) >= 1);
    CHECK_FALSE(one->update_metadata(Bytes(kMetadataBytesMax + 1, 'x'), one.now_));
}

TEST_CASE("push-pull: both know all afterwards, equals exchange a digest only") {
    SeededRandom random(3);
    One one({2, 3});
    Membership other({.id = NodeId{4},
                      .generation = 1,
                      .name = "n4",
                      .addresses = {"h4"},
                      .metadata = {},
                      .incarnation = 1},
                     {}, random, one.now_);
    const Bytes request = other.sync_request();
    const auto reply = one->on_sync_request(NodeId{4}, request, one.now_);
    REQUIRE(reply);
    const auto more = other.on_sync_reply(NodeId{1}, *reply, one.now_);
    REQUIRE(more);
    CHECK_FALSE(more->has_value());  // the request of a newcomer has everything
    CHECK(other.live() == 4);
    CHECK(one->live() == 4);
    CHECK(one->digest() == other.digest());
    CHECK(other.sync_request().size() < 20);

    REQUIRE(one.hear(5, encode_alive(member(5))));
    const auto second = one->on_sync_request(NodeId{4}, other.sync_request(), one.now_);
    const auto push = other.on_sync_reply(NodeId{1}, second.value(), one.now_);
    REQUIRE(push.value().has_value());
    CHECK(other.live() == 5);
    CHECK(one->on_sync_request(NodeId{4}, **push, one.now_));
    CHECK_FALSE(one->on_sync_request(NodeId{4}, "\xff\xff", one.now_));
}

TEST_CASE("merge: another's dead are our suspects, and our own death is refuted") {
    One one({2, 3, 4, 5});
    wire::GossipSync state;
    state.set_full(true);
    state.set_digest(1);
    const auto add = [&state](const Member& about, MemberState as) {
        wire::GossipMemberState& entry = *state.add_members();
        fill_alive(about, *entry.mutable_about());
        entry.set_state(static_cast<uint32_t>(as));
    };
    add(member(1, 4), MemberState::kDead);
    add(member(2), MemberState::kDead);
    add(member(3), MemberState::kLeft);
    add(member(6), MemberState::kAlive);
    add(member(7), MemberState::kDead);  // we never knew it
    REQUIRE(one->on_sync_request(NodeId{4}, state.SerializeAsString(), one.now_));
    CHECK(one->self().incarnation == 5);
    CHECK(one.state(2) == MemberState::kSuspect);
    CHECK(one.state(3) == MemberState::kLeft);
    CHECK(one.state(6) == MemberState::kAlive);
    CHECK(one->find(NodeId{7}) == nullptr);
}

TEST_CASE("who is alone asks seeds and all it has ever known, again and again") {
    One first({2, 3});
    const Bytes snapshot = first->snapshot();
    One one;
    REQUIRE(one->restore(snapshot, one.now_));
    CHECK(one->restore("\xff", one.now_).error().code == Errc::kCorrupt);
    one->join({"seed.example:5055"}, one.now_);
    one.run(seconds(10), {});
    size_t seeds = 0;
    size_t known = 0;
    for (const StreamWanted& wanted : one.streams) {
        seeds += wanted.address == "seed.example:5055" ? 1 : 0;
        known += wanted.node == NodeId{2} || wanted.node == NodeId{3} ? 1 : 0;
    }
    CHECK(seeds >= 5);
    CHECK(known >= 5);
    CHECK(one->live() == 1);
    REQUIRE(one.hear(2, encode_alive(member(2))));  // of the incarnation it had
    CHECK(one.state(2) == MemberState::kAlive);
}

TEST_CASE("the dead are forgotten in time") {
    Parameters parameters;
    parameters.tombstone = seconds(120);
    One one({2}, parameters);
    REQUIRE(one.hear(3, encode_dead(member(2), NodeId{3})));
    one.run(seconds(110), {});
    CHECK(one->find(NodeId{2}) != nullptr);
    one.run(seconds(80), {});
    CHECK(one->find(NodeId{2}) == nullptr);
}

}  // namespace
}  // namespace smackd::core::gossip
