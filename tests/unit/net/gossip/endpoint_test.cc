// Real datagrams on loopback between members of one loop; streams are played by the test.
#include "net/gossip/endpoint.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "net/system_clock.h"
#include "net/system_random.h"

namespace smackd::net::gossip {
namespace {

using core::Bytes;
using core::NodeId;
using core::gossip::Member;
using core::gossip::MemberEventKind;
using core::gossip::Membership;
using core::gossip::MemberState;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Bytes kKey(32, 'k');
const Address kLoopback = Address::parse("127.0.0.1:0").value();

struct Cluster {
    Loop loop{"gossip test"};
    SystemClock clock;
    SystemRandom random;
    std::map<uint64_t, std::unique_ptr<Endpoint>> endpoints;
    std::vector<std::string> refused;
    std::map<std::pair<uint64_t, MemberEventKind>, core::Instant> seen;  ///< by whom it is about: last time

    void add(uint64_t id) {
        EndpointHooks hooks;
        hooks.on_event = [this](const core::gossip::MemberEvent& event) {
            seen[{event.member.id.value, event.kind}] = loop.now();
        };
        hooks.on_stream_wanted = [this, id](const core::gossip::StreamWanted& wanted) {
            loop.post([this, id, wanted] { sync(id, wanted); });
        };
        hooks.on_refused = [this](const std::string&, const core::Error& why, uint64_t) {
            refused.push_back(why.message);
        };
        auto opened = Endpoint::open(loop,
                                     {.self = {.id = NodeId{id},
                                               .generation = 1,
                                               .name = "n" + std::to_string(id),
                                               .addresses = {},
                                               .metadata = {}},
                                      .advertise_bound = true,
                                      .parameters = {},
                                      .bind = kLoopback,
                                      .sealing = {.cluster_id = "c", .epoch = 1, .self = {}, .session = 1},
                                      .keys = {kKey}},
                                     clock, random, std::move(hooks));
        REQUIRE(opened);
        endpoints[id] = std::move(*opened);
    }

    void sync(uint64_t id, const core::gossip::StreamWanted& wanted) {
        if (wanted.use != core::gossip::StreamUse::kSync || !endpoints.contains(id)) return;
        for (auto& [other, endpoint] : endpoints) {
            if (endpoint->address().to_string() != wanted.address || other == id) continue;
            const Bytes request = endpoints[id]->membership().sync_request();
            auto reply = endpoint->step([&](Membership& membership, core::Instant now) {
                return membership.on_sync_request(NodeId{id}, request, now);
            });
            REQUIRE(reply);
            (void)endpoints[id]->step([&](Membership& membership, core::Instant now) {
                return membership.on_sync_reply(NodeId{other}, *reply, now);
            });
        }
    }

    bool all_see(size_t live) const {
        for (const auto& [id, endpoint] : endpoints) {
            if (endpoint->membership().live() != live) return false;
        }
        return true;
    }
};

Task<bool> wait_until(Loop& loop, const std::function<bool()>& done, core::Duration limit) {
    const core::Instant end = loop.now() + limit;
    while (!done()) {
        if (loop.now() > end) co_return false;
        auto slept = co_await sleep(loop, milliseconds(10));
        if (!slept) co_return false;
    }
    co_return true;
}

Task<void> close_all(Cluster& cluster) {
    for (auto& [id, endpoint] : cluster.endpoints) co_await endpoint->close();
    cluster.endpoints.clear();
}

Task<void> join_all(Cluster& cluster) {
    for (uint64_t id = 1; id <= 3; ++id) cluster.add(id);
    const std::string seed = cluster.endpoints[1]->address().to_string();
    for (uint64_t id = 2; id <= 3; ++id) {
        cluster.endpoints[id]->step(
            [&](Membership& membership, core::Instant now) { membership.join({seed}, now); });
    }
    const std::function<bool()> joined = [&cluster] { return cluster.all_see(3); };
    const bool in_time = co_await wait_until(cluster.loop, joined, seconds(10));
    CHECK(in_time);
}

Task<void> kill_story(Cluster& cluster) {
    co_await join_all(cluster);
    const core::Instant killed = cluster.loop.now();
    co_await cluster.endpoints[3]->close();
    cluster.endpoints.erase(3);
    const std::function<bool()> found = [&cluster] {
        return cluster.all_see(2) &&
               cluster.endpoints[1]->membership().find(NodeId{3})->state == MemberState::kDead;
    };
    const bool in_time = co_await wait_until(cluster.loop, found, seconds(20));
    CHECK(in_time);
    // 0.5 s of probe and 2.2 s of suspicion at least, however the turns fall; never at once, not after a
    // whole max.
    const core::Duration took = cluster.seen[{3, MemberEventKind::kUnreachable}] - killed;
    CHECK(took > milliseconds(2000));
    CHECK(took < seconds(12));
    CHECK_FALSE(cluster.seen.contains({1, MemberEventKind::kUnreachable}));
    CHECK_FALSE(cluster.seen.contains({2, MemberEventKind::kUnreachable}));
    co_await close_all(cluster);
}

TEST_CASE("three members on real sockets: a killed one is found, the others stay") {
    Cluster cluster;
    block_on(cluster.loop, kill_story(cluster));
}

Task<void> leave_story(Cluster& cluster) {
    co_await join_all(cluster);
    cluster.endpoints[3]->step([](Membership& membership, core::Instant now) { membership.leave(now); });
    const std::function<bool()> told = [&cluster] {
        for (const uint64_t id : {1U, 2U}) {
            const Member* member = cluster.endpoints[id]->membership().find(NodeId{3});
            if (member == nullptr || member->state != MemberState::kLeft) return false;
        }
        return true;
    };
    const bool in_time = co_await wait_until(cluster.loop, told, seconds(5));
    CHECK(in_time);
    CHECK_FALSE(cluster.seen.contains({3, MemberEventKind::kUnreachable}));
    co_await close_all(cluster);
}

TEST_CASE("a member that leaves is known to have left") {
    Cluster cluster;
    block_on(cluster.loop, leave_story(cluster));
}

Task<void> stranger_story(Cluster& cluster) {
    cluster.add(1);
    const Address to = cluster.endpoints[1]->address();
    auto socket = UdpSocket::bind(cluster.loop, kLoopback);
    REQUIRE(socket);
    Sealing stranger({.cluster_id = "c", .epoch = 1, .self = NodeId{9}, .session = 1});
    REQUIRE(stranger.set_keys({Bytes(32, 'z')}));
    Sealing member({.cluster_id = "c", .epoch = 1, .self = NodeId{8}, .session = 1});
    REQUIRE(member.set_keys({kKey}));
    const Bytes ping = core::gossip::encode_head(NodeId{8}, 1) + core::gossip::encode_ping(7, NodeId{1});
    const Bytes good = member.seal(ping, cluster.clock.wall());
    REQUIRE((*socket)->send(to, stranger.seal(ping, cluster.clock.wall())));
    REQUIRE((*socket)->send(to, "garbage"));
    REQUIRE((*socket)->send(to, good));
    REQUIRE((*socket)->send(to, good));
    auto answer = co_await (*socket)->receive();
    REQUIRE(answer);
    CHECK(member.open(answer->bytes, cluster.clock.wall()));
    const std::function<bool()> counted = [&cluster] { return cluster.endpoints[1]->counts().refused == 3; };
    const bool in_time = co_await wait_until(cluster.loop, counted, seconds(5));
    CHECK(in_time);
    CHECK(cluster.endpoints[1]->sealing_counts().replayed == 1);
    CHECK(cluster.endpoints[1]->sealing_counts().wrong_key == 1);
    CHECK(cluster.endpoints[1]->sealing_counts().malformed == 1);
    CHECK(cluster.refused.size() == 1);  // one line a second
    CHECK_FALSE(cluster.endpoints[1]->on_stream_packet(NodeId{5}, ping));
    CHECK(cluster.endpoints[1]->on_stream_packet(NodeId{8}, ping));
    co_await (*socket)->close();
    co_await close_all(cluster);
}

TEST_CASE("strangers, garbage and replays are refused, counted and rarely told") {
    Cluster cluster;
    block_on(cluster.loop, stranger_story(cluster));
}

}  // namespace
}  // namespace smackd::net::gossip
