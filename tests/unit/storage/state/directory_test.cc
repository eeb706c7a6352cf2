// Groups of a Windows directory: what tickets say becomes rights, and nothing older undoes it.
#include <catch2/catch_test_macros.hpp>

#include "storage/state/reader.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::command;
using test::Server;

constexpr Errc kDone{0};
const std::string kOps = "S-1-5-21-1-2-3-1104";
const std::string kStaff = "S-1-5-21-1-2-3-1105";

wire::Command level5() {
    wire::Command made = command();
    made.set_feature_level(5);
    return made;
}

wire::Command map_group(const std::string& sid, const std::string& group) {
    wire::Command made = level5();
    auto* change = made.add_changes()->mutable_put_directory_group();
    change->set_sid(sid);
    change->set_group(group);
    return made;
}

wire::Command ticket(const std::string& user, const std::vector<std::string>& sids, int64_t time_s) {
    wire::Command made = level5();
    auto* change = made.add_changes()->mutable_put_directory_user();
    change->set_user(user);
    for (const std::string& sid : sids) change->add_sids(sid);
    change->set_ticket_s(time_s);
    change->set_full_name("Somebody");
    return made;
}

void set_up(Server& server) {
    server.ok(test::init_cluster());
    wire::Command first = command();
    first.add_changes()->mutable_raise_feature_level()->set_level(5);
    test::group(first, "ops", {"bob"});
    test::group(first, "staff", {});
    test::user(first, "bob");
    test::rule(first, "ops-admin", "group:ops", "admin");
    server.ok(first);
    server.ok(map_group(kOps, "ops"));
    server.ok(map_group(kStaff, "staff"));
}

Errc outcome(Server& server, const wire::Command& made) {
    return test::code(server.run(made));
}

Errc as_admin(Server& server, const std::string& user) {
    wire::Command made = test::as_user(user);
    test::setting(made, "color", "blue");
    return outcome(server, made);
}

}  // namespace

TEST_CASE("a ticket with a listed group makes the user and gives the group's rights") {
    Server server;
    set_up(server);
    CHECK(as_admin(server, "alice") == Errc::kDenied);
    CHECK(outcome(server, ticket("alice", {"S-1-5-21-1-2-3-513"}, 100)) == Errc::kDenied);  // not listed
    CHECK(outcome(server, ticket("alice", {kOps, "S-1-5-21-1-2-3-513"}, 100)) == kDone);
    CHECK(as_admin(server, "alice") == kDone);
    CHECK(as_admin(server, "bob") == kDone);  // by name, as before

    SECTION("an older ticket changes nothing, a newer one does") {
        CHECK(outcome(server, ticket("alice", {}, 200)) == kDone);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
        CHECK(outcome(server, ticket("alice", {kOps}, 199)) == Errc::kConflict);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
        CHECK(outcome(server, ticket("alice", {kOps}, 200)) == kDone);
        CHECK(as_admin(server, "alice") == kDone);
    }
    SECTION("a group that is taken off the list grants nothing from then on") {
        wire::Command removal = level5();
        removal.add_changes()->mutable_remove_directory_group()->set_sid(kOps);
        CHECK(outcome(server, removal) == kDone);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
        CHECK(outcome(server, removal) == Errc::kNotFound);
        // Listed again, it takes a new word of the directory.
        server.ok(map_group(kOps, "ops"));
        CHECK(as_admin(server, "alice") == Errc::kDenied);
    }
    SECTION("as does one whose group goes") {
        wire::Command removal = command();
        removal.add_changes()->mutable_remove_group()->set_name("ops");
        server.ok(removal);
        wire::Command again = command();
        test::group(again, "ops", {});
        test::rule(again, "ops-admin", "group:ops", "admin");
        server.ok(again);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
    }
    SECTION("a removed user leaves nothing behind, a disabled one stays out") {
        wire::Command off = command();
        test::user(off, "alice", true);
        server.ok(off);
        CHECK(outcome(server, ticket("alice", {kOps, kStaff}, 300)) == kDone);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
        wire::Command removal = command();
        removal.add_changes()->mutable_remove_user()->set_name("alice");
        server.ok(removal);
        wire::Command back = command();
        test::user(back, "alice");
        server.ok(back);
        CHECK(as_admin(server, "alice") == Errc::kDenied);
    }
}

TEST_CASE("nobody but smackd says what a ticket said") {
    Server server;
    set_up(server);
    wire::Command forged = ticket("bob", {kOps}, 100);
    forged.mutable_actor()->set_kind(wire::Actor::USER);
    forged.mutable_actor()->set_principal("bob@EXAMPLE.COM");  // an admin
    CHECK(outcome(server, forged) == Errc::kDenied);
    CHECK(outcome(server, map_group("S-1-5-21-1-2-3-01104", "ops")) == Errc::kInvalid);
    CHECK(outcome(server, map_group(kOps, "nobody")) == Errc::kNotFound);
}

TEST_CASE("it came with feature level 5") {
    Server server;
    server.ok(test::init_cluster());
    CHECK(outcome(server, map_group(kOps, "ops")) == Errc::kUnsupported);
    wire::Command undeclared = map_group(kOps, "ops");
    undeclared.set_feature_level(4);
    CHECK(outcome(server, undeclared) == Errc::kUnsupported);
    wire::Command made = command();
    test::group(made, "ops", {"bob"});
    test::user(made, "bob");
    test::rule(made, "ops-admin", "group:ops", "admin");
    server.ok(made);
    CHECK(as_admin(server, "bob") == kDone);
}

}  // namespace smackd::storage::state
