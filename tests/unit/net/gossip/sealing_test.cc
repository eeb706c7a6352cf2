// After memberlist's security_test and EncryptedGossipTransition; replay is ours.
#include "net/gossip/sealing.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::net::gossip {
namespace {

using core::Bytes;
using core::Errc;
using core::NodeId;
using core::WallTime;

const Bytes kOld(32, 'a');
const Bytes kNew(32, 'b');
const WallTime kNow{1'700'000'000'000};

Sealing make(uint64_t self, const std::vector<Bytes>& keys, uint64_t epoch = 3, uint64_t session = 100,
             const std::string& cluster = "c1") {
    Sealing sealing({.cluster_id = cluster, .epoch = epoch, .self = NodeId{self}, .session = session});
    REQUIRE(sealing.set_keys(keys));
    return sealing;
}

TEST_CASE("what is sealed is opened, with its sender") {
    Sealing one = make(1, {kOld});
    Sealing two = make(2, {kOld});
    for (const size_t size : {size_t{0}, size_t{1}, size_t{500}, core::gossip::kPayloadBytesMax}) {
        const Bytes sealed = one.seal(Bytes(size, 'x'), kNow);
        CHECK(sealed.size() == size + kSealedOverheadBytes);
        CHECK(sealed.size() <= core::gossip::kPacketBytesMax);
        const auto opened = two.open(sealed, kNow);
        REQUIRE(opened);
        CHECK(opened->sender == NodeId{1});
        CHECK(opened->payload == Bytes(size, 'x'));
    }
    CHECK(two.counts().opened == 4);
}

TEST_CASE("a changed bit anywhere is noticed, and so is every shorter packet") {
    Sealing one = make(1, {kOld});
    Sealing two = make(2, {kOld});
    const Bytes sealed = one.seal("payload", kNow);
    for (size_t i = 0; i < sealed.size(); ++i) {
        Bytes changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        CHECK_FALSE(two.open(changed, kNow));
        CHECK_FALSE(two.open(sealed.substr(0, i), kNow));
    }
    CHECK(two.open(sealed, kNow));
}

TEST_CASE("another cluster, epoch or key is refused, and the reason is named") {
    Sealing one = make(1, {kOld});
    const Bytes sealed = one.seal("payload", kNow);
    Sealing other_cluster = make(2, {kOld}, 3, 100, "c2");
    CHECK(other_cluster.open(sealed, kNow).error().message.contains("no gossip key of ours"));
    Sealing later = make(2, {kOld}, 4);
    CHECK(later.open(sealed, kNow).error().message.contains("packet of epoch 3, the cluster is at 4"));
    Sealing other_key = make(2, {kNew});
    CHECK(other_key.open(sealed, kNow).error().code == Errc::kDenied);
    CHECK(other_key.counts().wrong_key == 1);
    // The epoch in the clear is authenticated as well.
    Bytes forged = sealed;
    forged[1] = 4;
    CHECK(later.open(forged, kNow).error().message.contains("no gossip key of ours"));
}

TEST_CASE("keys rotate while everybody goes on hearing everybody") {
    Sealing one = make(1, {kOld});
    Sealing two = make(2, {kOld});
    const auto both_hear = [&] {
        CHECK(two.open(one.seal("x", kNow), kNow));
        CHECK(one.open(two.seal("x", kNow), kNow));
    };
    const std::vector<std::vector<Bytes>> steps = {{kOld, kNew}, {kNew, kOld}, {kNew}};
    for (const auto& keys : steps) {
        REQUIRE(one.set_keys(keys));
        both_hear();
        REQUIRE(two.set_keys(keys));
        both_hear();
    }
    Sealing removed = make(3, {kOld});
    CHECK_FALSE(two.open(removed.seal("x", kNow), kNow));
    CHECK_FALSE(one.set_keys({}));
    CHECK_FALSE(one.set_keys({Bytes(31, 'a')}));
    CHECK_FALSE(one.set_keys(std::vector<Bytes>(kKeysMax + 1, kOld)));
    both_hear();
}

TEST_CASE("a packet counts once; late ones count, too late ones do not") {
    Sealing one = make(1, {kOld});
    Sealing two = make(2, {kOld});
    std::vector<Bytes> sealed;
    for (uint64_t i = 0; i < kReplayWindow + 10; ++i) sealed.push_back(one.seal("x", kNow));
    REQUIRE(two.open(sealed[5], kNow));
    const auto again = two.open(sealed[5], kNow);
    REQUIRE_FALSE(again);
    CHECK(again.error().message.contains("packet 6 of node 1 came before: replayed"));
    CHECK(two.open(sealed[3], kNow));
    CHECK_FALSE(two.open(sealed[3], kNow));
    REQUIRE(two.open(sealed.back(), kNow));
    CHECK_FALSE(two.open(sealed[4], kNow));  // older than the window: it may have come before
    CHECK(two.open(sealed[100], kNow));
    CHECK(two.counts().replayed == 3);
}

TEST_CASE("packets of an earlier life are replayed ones; a clock set back heals") {
    Sealing before = make(1, {kOld}, 3, 100);
    Sealing after = make(1, {kOld}, 3, 200);
    Sealing two = make(2, {kOld});
    const Bytes early = before.seal("x", kNow);
    REQUIRE(two.open(after.seal("x", kNow), kNow));
    CHECK(two.open(early, kNow).error().message.contains("earlier life"));
    const WallTime later{kNow.unix_ms + 2 * kClockSkewMaxMs + 1};
    CHECK(two.open(before.seal("x", later), later));
}

TEST_CASE("a packet from long ago or far ahead is refused also by who has just started") {
    Sealing one = make(1, {kOld});
    const Bytes sealed = one.seal("x", kNow);
    for (const int64_t apart : {-kClockSkewMaxMs - 1000, kClockSkewMaxMs + 1000}) {
        Sealing fresh = make(2, {kOld});
        CHECK(fresh.open(sealed, {kNow.unix_ms + apart}).error().message.contains("301 s from now"));
    }
    Sealing fresh = make(2, {kOld});
    CHECK(fresh.open(sealed, {kNow.unix_ms + kClockSkewMaxMs}));
}

}  // namespace
}  // namespace smackd::net::gossip
