#include "auth/kdc_throttle.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace smackd;
using core::Instant;
using core::seconds;

TEST_CASE("requests of one source are limited a second, others are not held back") {
    auth::KdcThrottle throttle({.requests_per_source_s = 5});
    for (int i = 0; i < 5; i++) CHECK(throttle.admit("10.0.0.1", Instant{}));
    CHECK_FALSE(throttle.admit("10.0.0.1", Instant{}));
    CHECK(throttle.admit("10.0.0.2", Instant{}));
    CHECK(throttle.admit("10.0.0.1", Instant{seconds(1)}));
}

TEST_CASE("wrong keys hold a principal back, first towards the source that fails") {
    auth::KdcThrottle throttle({.failures_per_source_min = 3, .failures_per_principal_min = 5});
    for (int i = 0; i < 3; i++) throttle.failed("evil", "alice@R", Instant{});
    CHECK_FALSE(throttle.may_try("evil", "alice@R", Instant{}));
    CHECK(throttle.may_try("home", "alice@R", Instant{}));
    CHECK(throttle.may_try("evil", "bob@R", Instant{}));
    throttle.failed("evil2", "alice@R", Instant{});
    throttle.failed("evil3", "alice@R", Instant{});
    CHECK_FALSE(throttle.may_try("home", "alice@R", Instant{}));
    CHECK(throttle.may_try("evil", "alice@R", Instant{seconds(60)}));
}

TEST_CASE("the table of events is bounded") {
    auth::EventTable table(seconds(60), 100);
    for (int i = 0; i < 1000; i++) {
        table.add("victim", Instant{});  // stays the most recent
        table.add("k" + std::to_string(i), Instant{});
    }
    CHECK(table.size() == 100);
    CHECK(table.count("victim", Instant{}) == 1000);
    CHECK(table.count("k0", Instant{}) == 0);
    CHECK(table.count("k999", Instant{}) == 1);
}
