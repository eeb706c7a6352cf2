#include "auth/realm.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;

namespace {

constexpr core::WallTime kNow{1'790'000'000'000};
constexpr const char* kPassword = "four unrelated words";

auth::Realm open_realm() {
    auto realm = auth::Realm::open("R.TEST", *auth::MasterKey::random());
    REQUIRE(realm);
    return std::move(*realm);
}

}  // namespace

TEST_CASE("the master key travels as text and is recognised") {
    const auto key = auth::MasterKey::random();
    REQUIRE(key);
    CHECK(auth::MasterKey::from_text(key->to_text())->key == key->key);
    for (const char* text : {"", "20", "20 zz", "20 00",
                             "18 0000000000000000000000000000000000000000000000000000000000000000"}) {
        CHECK_FALSE(auth::MasterKey::from_text(text));
    }
}

TEST_CASE("the same password and name give the same keys, anything else others") {
    const auth::Realm realm = open_realm();
    const auto one = realm.user("alice", kPassword, kNow);
    REQUIRE(one);
    const auto keys = realm.keys(*one);
    REQUIRE(keys);
    REQUIRE(keys->size() == 4);
    CHECK((*keys)[0].enctype == 20);
    CHECK(*realm.keys(*realm.user("alice", kPassword, kNow)) == *keys);
    CHECK((*realm.keys(*realm.user("bob", kPassword, kNow)))[0].key != (*keys)[0].key);
    CHECK((*realm.keys(*realm.user("alice", "five unrelated words", kNow)))[0].key != (*keys)[0].key);
    // Stored keys are encrypted, and differently each time.
    CHECK_FALSE(one->record.contains((*keys)[0].key));
    CHECK(realm.user("alice", kPassword, kNow)->record != one->record);
}

TEST_CASE("another realm's master key does not open a record") {
    const auto row = open_realm().random_key("HTTP/a.test", kNow);
    REQUIRE(row);
    CHECK(open_realm().keys(*row).error().code == core::Errc::kCorrupt);
    CHECK_FALSE(open_realm().keys({"x@R.TEST", "garbage"}));
}

TEST_CASE("rotation raises the kvno and keeps what was asked for") {
    const auth::Realm realm = open_realm();
    auto row = *realm.random_key("HTTP/a.test", kNow);
    CHECK(*realm.kvno(row) == 1);
    const auto first = (*realm.keys(row))[0].key;
    row = *realm.rotate_keys(row, kNow);
    CHECK(*realm.kvno(row) == 2);
    REQUIRE(realm.keys(row)->size() == 8);
    CHECK((*realm.keys(row))[0].kvno == 2);
    CHECK((*realm.keys(row))[4].key == first);
    row = *realm.rotate_keys(row, kNow);
    REQUIRE(realm.keys(row)->size() == 8);
    CHECK((*realm.keys(row))[4].kvno == 2);
    row = *realm.rotate_keys(row, kNow, 0);
    REQUIRE(realm.keys(row)->size() == 4);
    CHECK(*realm.kvno(row) == 4);
}

TEST_CASE("a new password replaces the keys and keeps the rest") {
    const auth::Realm realm = open_realm();
    auto row = *realm.user("alice", kPassword, kNow);
    row = *realm.change_options(row, {.disabled = true, .expires_s = 42});
    const auto changed = realm.change_password(row, "some other long words", kNow);
    REQUIRE(changed);
    CHECK(*realm.kvno(*changed) == 2);
    CHECK(realm.keys(*changed)->size() == 4);
    CHECK(realm.options(*changed)->disabled);
    CHECK(realm.options(*changed)->expires_s == 42);
    const auto enabled = realm.change_options(*changed, {});
    CHECK_FALSE(realm.options(*enabled)->disabled);
    CHECK_FALSE(realm.change_options(*changed, {.max_life_s = 0}));
    CHECK_FALSE(realm.change_password(row, "short", kNow));
}

TEST_CASE("names of the realm itself and malformed ones are refused") {
    const auth::Realm realm = open_realm();
    CHECK_FALSE(realm.random_key("krbtgt/OTHER.TEST", kNow));
    CHECK_FALSE(realm.random_key("K/M", kNow));
    CHECK_FALSE(realm.random_key("a//b", kNow));
    CHECK_FALSE(realm.user("Alice Smith", kPassword, kNow));
    CHECK_FALSE(auth::Realm::open("not a realm", *auth::MasterKey::random()));
}

TEST_CASE("passwords") {
    CHECK(auth::check_password_policy("alice", kPassword));
    CHECK(auth::check_password_policy("alice", "zwölf Boxkämpfer"));
    for (const char* bad : {"", "short", "aaaaaaaaaaaaaaaa", "abababababababab", "alice's password",
                            "xxALICExx12345", "passwordpassword", "ctrl\x01characters here"}) {
        INFO(bad);
        CHECK_FALSE(auth::check_password_policy("alice", bad));
    }
    CHECK_FALSE(auth::check_password_policy("alice", std::string(300, 'x') + "abcdef"));
}
