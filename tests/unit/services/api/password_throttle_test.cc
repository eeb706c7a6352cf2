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
        CHECK(throttle.begin("alice", "10.0.0.1", at(1000)));
    }
    const auto refused = throttle.begin("alice", "10.0.0.1", at(1000));
    REQUIRE(!refused);
    CHECK(refused.error().code == core::Errc::kBusy);
    CHECK(refused.error().retry_after_ms == 1000);
    CHECK(throttle.begin("alice", "10.0.0.1", at(1001)));
    CHECK(!throttle.begin("alice", "10.0.0.1", at(1002)));
    CHECK(throttle.begin("alice", "10.0.0.1", at(1003)));
}

TEST_CASE("others are not held back; the right password and peace clear the count") {
    PasswordThrottle throttle;
    for (int i = 0; i < 5; ++i) CHECK(throttle.begin("alice", "10.0.0.1", at(1000)));
    CHECK(!throttle.begin("alice", "10.0.0.1", at(1000)));
    CHECK(throttle.begin("alice", "10.0.0.2", at(1000)));
    CHECK(throttle.begin("bob", "10.0.0.1", at(1000)));
    throttle.right("alice", "10.0.0.1");
    for (int i = 0; i < 5; ++i) CHECK(throttle.begin("alice", "10.0.0.1", at(1000)));
    CHECK(!throttle.begin("alice", "10.0.0.1", at(1000)));
    CHECK(throttle.begin("alice", "10.0.0.1", at(2000)));
}

TEST_CASE("signing in often, or while no KDC answers, holds nobody back") {
    PasswordThrottle throttle;
    for (int i = 0; i < 100; ++i) {
        CHECK(throttle.begin("alice", "10.0.0.1", at(1000)));
        throttle.right("alice", "10.0.0.1");
        CHECK(throttle.begin("bob", "10.0.0.1", at(1000)));
        throttle.undecided("bob", "10.0.0.1");
    }
}

TEST_CASE("one address that tries many users is held back") {
    PasswordThrottle throttle;
    int admitted = 0;
    for (int i = 0; i < 100; ++i) {
        if (throttle.begin(std::format("user{}", i), "10.0.0.1", at(1000))) ++admitted;
    }
    CHECK(admitted == 20);
}

TEST_CASE("memory is bounded, and the oldest is forgotten first") {
    PasswordThrottle throttle;
    for (int i = 0; i < 5; ++i) CHECK(throttle.begin("alice", "10.0.0.1", at(1)));
    CHECK(!throttle.begin("alice", "10.0.0.1", at(1)));
    for (size_t i = 0; i < services::kPasswordThrottleEntries; ++i) {
        CHECK(throttle.begin(std::format("u{}", i), std::format("h{}", i), at(2)));
    }
    CHECK(throttle.begin("alice", "10.0.0.1", at(2)));
}
