#include "auth/cluster_ca.h"

#include <catch2/catch_test_macros.hpp>

#include "net/crypto/certificate.h"

using namespace smackd;
using auth::ClusterCa;
using auth::NodeIdentity;
using core::WallTime;

namespace {

constexpr WallTime kNow{1'790'000'000'000};
constexpr int64_t kHourMs = 3'600'000;

}  // namespace

TEST_CASE("a cluster CA has an id and issues node certificates for a day") {
    const auto ca = ClusterCa::create("test cluster", kNow);
    REQUIRE(ca);
    CHECK(ca->cluster_id().size() == 64);
    CHECK(*auth::cluster_id_of(ca->certificate_pem()) == ca->cluster_id());

    const auto key = net::crypto::KeyPair::generate();
    const auto issued = ca->issue_node({.node = core::NodeId{7},
                                        .machine = "n7.example.com",
                                        .public_key_pem = key->public_key().to_pem(),
                                        .dns = {"n7"},
                                        .ip = {"127.0.0.1"}},
                                       kNow);
    REQUIRE(issued);
    CHECK(issued->not_before_ms == kNow.unix_ms - 5 * 60'000);
    CHECK(issued->not_after_ms == kNow.unix_ms + 24 * kHourMs);
    const auto read = net::crypto::parse_certificate(issued->pem);
    REQUIRE(read);
    CHECK(read->names.dns == std::vector<std::string>{"n7.example.com", "n7"});
    REQUIRE(read->names.uris.size() == 1);
    CHECK(read->names.uris[0] == "smack://" + ca->cluster_id() + "/node/7");
    CHECK(*NodeIdentity::parse(read->names.uris[0]) == NodeIdentity{ca->cluster_id(), core::NodeId{7}});
    CHECK(net::crypto::verify_certificate(issued->pem, ca->certificate_pem(), kNow));
    CHECK_FALSE(net::crypto::verify_certificate(issued->pem, ca->certificate_pem(),
                                                WallTime{kNow.unix_ms + 25 * kHourMs}));
    const auto other = ClusterCa::create("other", kNow);
    CHECK_FALSE(net::crypto::verify_certificate(issued->pem, other->certificate_pem(), kNow));
}

TEST_CASE("a CA is loaded only with the key that belongs to it") {
    const auto one = ClusterCa::create("one", kNow);
    const auto two = ClusterCa::create("two", kNow);
    CHECK(ClusterCa::load(one->key_pem(), one->certificate_pem())->cluster_id() == one->cluster_id());
    CHECK_FALSE(ClusterCa::load(one->key_pem(), two->certificate_pem()));
    const auto key = net::crypto::KeyPair::generate();
    const auto server = one->issue_server(key->public_key().to_pem(), {"localhost"}, {}, kNow);
    REQUIRE(server);
    CHECK_FALSE(ClusterCa::load(key->to_pem(), server->pem));
    CHECK_FALSE(one->issue_server(key->public_key().to_pem(), {}, {}, kNow));
    CHECK_FALSE(one->issue_node(
        {.node = core::NodeId{0}, .machine = "x", .public_key_pem = key->public_key().to_pem()}, kNow));
}

TEST_CASE("node URIs are read strictly") {
    const std::string id(64, 'a');
    CHECK(NodeIdentity::parse("smack://" + id + "/node/1"));
    for (const std::string& uri :
         {"http://" + id + "/node/1", "smack://" + id + "/node/", "smack://" + id + "/node/0",
          "smack://" + id + "/node/01", "smack://" + id + "/node/1/", "smack://" + id + "/node/-1",
          "smack://" + id + "/node/99999999999999999999", "smack://" + std::string(64, 'A') + "/node/1",
          "smack://" + id.substr(1) + "/node/1", std::string()}) {
        INFO(uri);
        CHECK_FALSE(NodeIdentity::parse(uri));
    }
}

TEST_CASE("renewal begins at half the life and is spread") {
    using Action = auth::RenewalDecision::Action;
    const int64_t begin = kNow.unix_ms;
    const int64_t end = begin + 24 * kHourMs;
    const auto early = auth::decide_renewal(begin, end, WallTime{begin + 11 * kHourMs}, 0);
    CHECK(early.action == Action::kNone);
    CHECK(early.check_again_ms == kHourMs);
    CHECK(auth::decide_renewal(begin, end, WallTime{begin + 12 * kHourMs}, 0).action == Action::kRenew);
    CHECK(auth::decide_renewal(begin, end, WallTime{begin + 12 * kHourMs}, 1000).action == Action::kNone);
    CHECK(auth::decide_renewal(begin, end, WallTime{begin + 15 * kHourMs}, 1000).action == Action::kRenew);
    CHECK(auth::decide_renewal(begin, end, WallTime{end}, 0).action == Action::kExpired);
    // Made by a clock that was ahead.
    CHECK(auth::decide_renewal(begin, end, WallTime{begin - 1}, 0).action == Action::kRenew);
    CHECK(auth::decide_renewal(begin, end, WallTime{begin}, 0).action == Action::kNone);
}
