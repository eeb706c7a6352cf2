#include "auth/kdc_process.h"

#include <catch2/catch_test_macros.hpp>

#include "auth/kdc_supervisor.h"

using namespace smackd;

TEST_CASE("the KDC child's arguments are read back, and hold no key") {
    const auth::KdcConfig config{.realm = "R.TEST",
                                 .listen = "127.0.0.1:5088",
                                 .realm_db = "/d/realm/realm.db",
                                 .uid = 65534,
                                 .gid = 65533,
                                 .requests_per_source_s = 7,
                                 .failures_per_principal_min = 8,
                                 .parent_pid = 9};
    const auto read = auth::parse_kdc_arguments(auth::kdc_arguments(config));
    REQUIRE(read);
    CHECK(read->realm == config.realm);
    CHECK(read->listen == config.listen);
    CHECK(read->realm_db == config.realm_db);
    CHECK(read->uid == 65534);
    CHECK(read->gid == 65533);
    CHECK(read->requests_per_source_s == 7);
    CHECK(read->failures_per_principal_min == 8);
    CHECK(read->parent_pid == 9);
    CHECK_FALSE(auth::parse_kdc_arguments({"--realm", "R.TEST"}));
    CHECK_FALSE(auth::parse_kdc_arguments({"--realm"}));
    CHECK_FALSE(auth::parse_kdc_arguments({"--nonsense", "1"}));
}

TEST_CASE("clients are told to take names as typed") {
    const std::string text = auth::client_krb5_conf("R.TEST", {"127.0.0.1:5088", "127.0.0.1:5188"});
    CHECK(text.contains("default_realm = R.TEST"));
    CHECK(text.contains("kdc = 127.0.0.1:5188"));
    CHECK(text.contains("rdns = false"));
}

TEST_CASE("a child that keeps failing is started ever more slowly, one that ran long at once") {
    auth::RestartPlan plan;
    core::Instant now;
    core::Duration before{0};
    for (int i = 0; i < 20; i++) {
        plan.started(now);
        const core::Duration pause = plan.exited(now);
        CHECK(pause >= before);
        CHECK(pause <= auth::RestartPlan::kLongestPause);
        before = pause;
    }
    CHECK(before == auth::RestartPlan::kLongestPause);
    plan.started(now);
    CHECK(plan.exited(now + core::seconds(31)) == auth::RestartPlan::kFirstPause);
}
