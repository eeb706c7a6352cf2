#include "services/api/password_throttle.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using services::PasswordThrottle;

namespace {
core::Instant at(int64_t seconds) {
    return core::Instant{core::seconds(seconds)};
}
}  // namespace

TEST_CASE("guessing a password gets slower") {
    PasswordThrottle throttle;
    for (uint32_t i = 0; i < services::kPasswordTriesFree; ++i) {
        CHECK(throttle.admit("alice", "10.0.0.1", at(1000)));
        throttle.wrong("alice", "10.0.0.1", at(1000));
    }
    const auto refused = throttle.admit("alice", "10.0.0.1", at(1000));
    REQUIRE(!refused);
    CHECK(refused.error().code == core::Errc::kBusy);
    CHECK(refused.error().retry_after_ms == 1000);
    CHECK(throttle.admit("alice", "10.0.0.1", at(1001)));
    throttle.wrong("alice", "10.0.0.1", at(1001));
    CHECK(!throttle.admit("alice", "10.0.0.1", at(1002)));
    CHECK(throttle.admit("alice", "10.0.0.1", at(1003)));
}

TEST_CASE("others are not held back, the right password and peace clear the count") {
    PasswordThrottle throttle;
    for (int i = 0; i < 6; ++i) throttle.wrong("alice", "10.0.0.1", at(1000));
    CHECK(!throttle.admit("alice", "10.0.0.1", at(1000)));
    CHECK(throttle.admit("alice", "10.0.0.2", at(1000)));
    CHECK(throttle.admit("bob", "10.0.0.1", at(1000)));
    throttle.right("alice", "10.0.0.1");
    CHECK(throttle.admit("alice", "10.0.0.1", at(1000)));
    for (int i = 0; i < 30; ++i) throttle.wrong("alice", "10.0.0.1", at(1000));
    CHECK(!throttle.admit("alice", "10.0.0.1", at(1200)));
    CHECK(throttle.admit("alice", "10.0.0.1", at(2000)));
}

TEST_CASE("one address that tries many users is held back") {
    PasswordThrottle throttle;
    for (int i = 0; i < 25; ++i) throttle.wrong(std::format("user{}", i), "10.0.0.1", at(1000));
    CHECK(!throttle.admit("alice", "10.0.0.1", at(1000)));
}

TEST_CASE("memory is bounded") {
    PasswordThrottle throttle;
    for (size_t i = 0; i < services::kPasswordThrottleEntries + 100; ++i) {
        throttle.wrong(std::format("u{}", i), std::format("h{}", i), at(static_cast<int64_t>(i)));
    }
    CHECK(throttle.admit("u0", "h0", at(1)));
}
