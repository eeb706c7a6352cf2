#include "core/gossip/keys.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd::core;
using namespace smackd::core::gossip;

namespace {

struct Leader {
    std::optional<smackd::wire::GossipKeys> keys;
    std::vector<NodeId> admitted{{1}, {2}, {3}};
    uint64_t last_node = 3;
    int64_t now_ms = 1'000'000;
    char drawn = 'a';

    bool step() {
        const KeysView view{keys ? &*keys : nullptr, admitted, last_node, now_ms};
        auto next = next_keys(view, [this] { return Bytes(kKeyBytes, drawn++); });
        if (next) keys = std::move(next);
        if (keys) CHECK(check_keys(*keys).has_value());
        return next.has_value();
    }
    /// The first letter of each key.
    std::string letters() const {
        std::string text;
        for (const std::string& key : keys->keys()) text += key[0];
        return text;
    }
};

}  // namespace

TEST_CASE("gossip keys: made once, and kept while nobody leaves") {
    Leader leader;
    CHECK(leader.step());
    CHECK(leader.letters() == "a");
    CHECK_FALSE(leader.step());
    leader.admitted.push_back({4});
    leader.last_node = 4;
    CHECK_FALSE(leader.step());
    CHECK_FALSE(next_keys_in(*leader.keys, leader.now_ms).has_value());
}

TEST_CASE("gossip keys: who leaves takes a key along that opens nothing after three steps") {
    Leader leader;
    leader.step();
    leader.admitted.erase(leader.admitted.begin() + 1);
    CHECK(leader.step());
    CHECK(leader.letters() == "ab");
    CHECK_FALSE(leader.step());
    CHECK(next_keys_in(*leader.keys, leader.now_ms) == kKeyIntroduction);
    leader.now_ms += 5000;
    CHECK(leader.step());
    CHECK(leader.letters() == "ba");
    leader.now_ms += 29'999;
    CHECK_FALSE(leader.step());
    leader.now_ms += 1;
    CHECK(leader.step());
    CHECK(leader.letters() == "b");
    CHECK_FALSE(leader.step());
}

TEST_CASE("gossip keys: a departure during a rotation brings another one") {
    Leader leader;
    leader.step();
    leader.admitted.erase(leader.admitted.begin() + 1);
    leader.step();
    leader.admitted.erase(leader.admitted.begin() + 1);  // node 3 had the new key
    for (int i = 0; i < 2; ++i) {
        leader.now_ms += 30'000;
        CHECK(leader.step());
    }
    CHECK(leader.letters() == "b");
    CHECK(leader.step());
    CHECK(leader.letters() == "bc");
}

TEST_CASE(
    "gossip keys: a node that joined and left after the key was made counts, one that is back does not") {
    Leader leader;
    leader.admitted = {{1}, {3}};
    leader.step();
    leader.last_node = 4;
    CHECK(leader.step());
    CHECK(leader.letters() == "ab");
    for (int i = 0; i < 2; ++i) {
        leader.now_ms += 30'000;
        leader.step();
    }
    leader.admitted = {{1}, {2}, {3}};  // 2 was suspended
    CHECK_FALSE(leader.step());
    CHECK(leader.letters() == "b");
}

TEST_CASE("gossip keys: a leader's clock that is far behind does not stop a rotation") {
    Leader leader;
    leader.step();
    leader.admitted.pop_back();
    leader.step();
    leader.now_ms -= 3'600'000;
    const uint64_t version = leader.keys->version();
    CHECK(leader.step());
    CHECK(leader.letters() == "ba");
    CHECK(leader.keys->version() > version);
}

TEST_CASE("gossip keys: what is no set of keys is refused") {
    Leader leader;
    leader.step();
    smackd::wire::GossipKeys keys = *leader.keys;
    CHECK(check_keys(keys).has_value());
    keys.add_keys(Bytes(kKeyBytes, 'x'));
    CHECK(check_keys(keys).error().code == Errc::kCorrupt);
    keys = *leader.keys;
    keys.mutable_keys(0)->pop_back();
    CHECK_FALSE(check_keys(keys).has_value());
    keys = *leader.keys;
    keys.set_version(0);
    CHECK_FALSE(check_keys(keys).has_value());
}
