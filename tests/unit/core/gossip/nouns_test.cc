// The small parts of the gossip, after memberlist's suspicion_test, awareness_test, queue_test and util_test.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "core/gossip/awareness.h"
#include "core/gossip/broadcast_queue.h"
#include "core/gossip/members.h"
#include "core/gossip/packet.h"
#include "core/gossip/suspicion.h"

namespace smackd::core::gossip {
namespace {

Instant at(int64_t ms) {
    return Instant{milliseconds(ms)};
}

Member member(uint64_t id) {
    return {.id = NodeId{id},
            .generation = 1,
            .incarnation = 5,
            .name = "n" + std::to_string(id),
            .addresses = {"10.0.0." + std::to_string(id) + ":5055"},
            .metadata = "zone=a",
            .holder = {},
            .since = {}};
}

int64_t whole_ms(Duration duration) {
    return std::chrono::duration_cast<milliseconds>(duration).count();
}

TEST_CASE("a suspicion shrinks with the logarithm of its confirmations") {
    // memberlist's remainingSuspicionTime table: min 2 s, max 30 s, three confirmations.
    struct Row {
        int confirmations;
        int64_t timeout_ms;
    };
    for (const Row row : {Row{0, 30000}, Row{1, 16000}, Row{2, 7810}, Row{3, 2000}, Row{4, 2000}}) {
        Suspicion suspicion(NodeId{100}, {.min = seconds(2), .max = seconds(30), .confirmations = 3}, at(0));
        for (int i = 0; i < row.confirmations; ++i) suspicion.confirm(NodeId{static_cast<uint64_t>(i) + 1});
        CHECK(whole_ms(suspicion.timeout()) == row.timeout_ms);
    }
}

TEST_CASE("only new accusers count, and no more of them than are needed") {
    Suspicion suspicion(NodeId{1}, {.min = seconds(1), .max = seconds(6), .confirmations = 2}, at(0));
    CHECK_FALSE(suspicion.confirm(NodeId{1}));
    CHECK(suspicion.confirm(NodeId{2}));
    CHECK_FALSE(suspicion.confirm(NodeId{2}));
    CHECK(suspicion.confirm(NodeId{3}));
    CHECK_FALSE(suspicion.confirm(NodeId{4}));
    CHECK(suspicion.deadline() == at(1000));
}

TEST_CASE("without anybody to confirm, a suspicion is short at once") {
    Suspicion alone(NodeId{1}, {.min = seconds(1), .max = seconds(6), .confirmations = 0}, at(0));
    CHECK(alone.deadline() == at(1000));
    Suspicion left_alone(NodeId{1}, {.min = seconds(1), .max = seconds(6), .confirmations = 2}, at(0));
    CHECK(left_alone.deadline() == at(6000));
    left_alone.expect(0);
    CHECK(left_alone.deadline() == at(1000));
}

TEST_CASE("a suspect is asked again before it is given up, and has time to answer") {
    Suspicion suspicion(NodeId{1}, {.min = seconds(2), .max = seconds(2), .confirmations = 0}, at(0));
    CHECK(suspicion.next_check(milliseconds(200)) == at(1400));
    suspicion.checked(at(1400), milliseconds(200));
    suspicion.checked(at(1600), milliseconds(200));
    CHECK(suspicion.checks_left());
    suspicion.checked(at(3000), milliseconds(200));  // we were late
    CHECK_FALSE(suspicion.checks_left());
    CHECK(suspicion.next_check(milliseconds(200)) == at(3200));
}

TEST_CASE("the health score stays between 0 and its limit and scales times") {
    Awareness awareness;
    struct Row {
        int delta;
        uint32_t score;
    };
    for (const Row row :
         {Row{0, 0}, Row{-1, 0}, Row{-10, 0}, Row{1, 1}, Row{-1, 0}, Row{10, 7}, Row{-1, 6}, Row{-1, 5}}) {
        awareness.apply(row.delta);
        CHECK(awareness.score() == row.score);
        CHECK(awareness.scaled(seconds(1)) == seconds(1 + row.score));
    }
}

TEST_CASE("the queue gives the least sent first, then the longest, then the newest") {
    BroadcastQueue queue(10);
    queue.add(NodeId{1}, "short");
    queue.add(NodeId{2}, "a longer one");
    queue.add(NodeId{3}, "SHORT");
    Bytes out;
    CHECK(queue.take(out, 1000, 10, 3) == 3);
    CHECK(out == "a longer oneSHORTshort");
    queue.add(NodeId{4}, "new");
    out.clear();
    CHECK(queue.take(out, 1000, 1, 3) == 1);
    CHECK(out == "new");
}

TEST_CASE("the queue fills what room there is and forgets what was sent often enough") {
    BroadcastQueue queue(10);
    queue.add(NodeId{1}, "0123456789");
    queue.add(NodeId{2}, "01234");
    Bytes out;
    CHECK(queue.take(out, 9, 10, 2) == 1);  // the longer one does not fit
    CHECK(out == "01234");
    CHECK(queue.take(out, 1000, 10, 2) == 2);
    CHECK(queue.size() == 1);
    CHECK(queue.take(out, 1000, 10, 2) == 1);
    CHECK(queue.empty());
    CHECK(queue.take(out, 1000, 10, 2) == 0);
}

TEST_CASE("newer news of a node replaces the older, and a full queue drops what was sent most") {
    BroadcastQueue queue(2);
    queue.add(NodeId{1}, "old");
    queue.add(NodeId{1}, "new");
    CHECK(queue.size() == 1);
    Bytes out;
    queue.take(out, 1000, 10, 5);
    CHECK(out == "new");
    queue.add(NodeId{2}, "two");
    queue.add(NodeId{3}, "three");
    CHECK(queue.size() == 2);
    CHECK(queue.dropped() == 1);
    out.clear();
    queue.take(out, 1000, 10, 5);
    CHECK(out == "threetwo");
}

TEST_CASE("times that depend on the size of the cluster") {
    const Parameters parameters;
    CHECK(suspicion_min(parameters, 2) == milliseconds(2200));
    CHECK(suspicion_min(parameters, 5) == milliseconds(2400));
    CHECK(suspicion_min(parameters, 16) == milliseconds(2400));
    CHECK(suspicion_min(parameters, 17) == milliseconds(2600));
    CHECK(suspicion_min(parameters, 500) == milliseconds(3000));
    CHECK(retransmit_limit(3, 0) == 0);
    CHECK(retransmit_limit(3, 1) == 3);
    CHECK(retransmit_limit(3, 99) == 6);
    CHECK(push_pull_scaled(seconds(1), 1) == seconds(1));
    CHECK(push_pull_scaled(seconds(1), 32) == seconds(1));
    CHECK(push_pull_scaled(seconds(1), 33) == seconds(2));
    CHECK(push_pull_scaled(seconds(1), 64) == seconds(2));
    CHECK(push_pull_scaled(seconds(1), 128) == seconds(3));
}

TEST_CASE("random members are different ones, and a small cluster is never missed") {
    SeededRandom random(1);
    Members members(random);
    CHECK(members.pick(3, [](const MemberRecord&) { return true; }).empty());
    for (uint64_t id = 1; id <= 4; ++id) members.add(member(id));
    const auto wanted = [](const MemberRecord& record) { return record.member.id.value >= 3; };
    for (int i = 0; i < 1000; ++i) {
        std::set<uint64_t> ids;
        for (const MemberRecord* record : members.pick(3, wanted)) ids.insert(record->member.id.value);
        CHECK(ids == std::set<uint64_t>{3, 4});
    }
}

TEST_CASE("a round visits every member once, also those that come and go in it") {
    SeededRandom random(7);
    Members members(random);
    for (uint64_t id = 1; id <= 10; ++id) members.add(member(id));
    const auto all = [](const MemberRecord&) { return true; };
    (void)members.next(all);
    for (int round = 0; round < 5; ++round) {
        std::multiset<uint64_t> seen;
        for (int i = 0; i < 20; ++i) seen.insert(members.next(all)->member.id.value);
        for (uint64_t id = 1; id <= 10; ++id) CHECK(seen.count(id) >= 1);
        for (uint64_t id = 1; id <= 10; ++id) CHECK(seen.count(id) <= 3);
    }
    for (uint64_t id = 1; id <= 9; ++id) members.remove(id == 5 ? NodeId{99} : NodeId{id});
    CHECK(members.size() == 2);
    CHECK(members.find(NodeId{5}) != nullptr);
    CHECK(members.find(NodeId{4}) == nullptr);
    CHECK(members.next([](const MemberRecord& record) { return record.member.id == NodeId{5}; }) != nullptr);
}

TEST_CASE("packets: what was written is read, and limits are named") {
    const Bytes bytes = encode_head(NodeId{7}, 3) + encode_ping(11, NodeId{8}) + encode_alive(member(9));
    wire::GossipPacket packet;
    REQUIRE(decode_packet(bytes, packet));
    CHECK(packet.sender() == 7);
    CHECK(packet.generation() == 3);
    REQUIRE(packet.messages_size() == 2);
    CHECK(packet.messages(0).ping().target() == 8);
    CHECK(packet.messages(1).alive().addresses(0) == "10.0.0.9:5055");
    CHECK_FALSE(decode_packet(bytes.substr(0, bytes.size() - 3), packet));
    CHECK_FALSE(decode_packet(Bytes(kPacketBytesMax + 1, '\0'), packet));
    CHECK_FALSE(decode_packet("", packet));  // no sender

    Bytes many = encode_head(NodeId{7}, 1);
    for (size_t i = 0; i <= kMessagesMax; ++i) many += encode_nack(1);
    CHECK(decode_packet(many, packet).error().message.contains("above the limit of 128"));

    Member fat = member(9);
    fat.metadata.assign(kMetadataBytesMax + 1, 'x');
    CHECK(decode_packet(encode_head(NodeId{7}, 1) + encode_alive(fat), packet)
              .error()
              .message.contains("metadata"));
    Member loud = member(9);
    loud.incarnation = kIncarnationMax + 1;
    CHECK_FALSE(decode_packet(encode_head(NodeId{7}, 1) + encode_suspect(loud, NodeId{1}), packet));
}

TEST_CASE("the largest member fits into one packet") {
    Member large = member(1);
    large.id = NodeId{UINT64_MAX};
    large.generation = UINT64_MAX;
    large.incarnation = kIncarnationMax;
    large.name.assign(kNameBytesMax, 'n');
    large.addresses.assign(kAddressesMax, std::string(kAddressBytesMax, 'a'));
    large.metadata.assign(kMetadataBytesMax, 'm');
    CHECK(encode_head(large.id, UINT64_MAX).size() + encode_ping(UINT32_MAX, large.id).size() +
              encode_alive(large).size() <=
          kPayloadBytesMax);
}

}  // namespace
}  // namespace smackd::core::gossip
