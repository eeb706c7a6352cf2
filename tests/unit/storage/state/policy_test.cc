// What apply lets whom do.
#include <catch2/catch_test_macros.hpp>

#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::as_user;
using test::command;
using test::Server;

/// A cluster where alice is admin by her group, bob is nobody, and n1 is a registered machine.
void set_up(Server& server) {
    server.ok(test::init_cluster());
    wire::Command people = command();
    test::user(test::user(people, "alice"), "bob");
    test::group(people, "ops", {"alice"});
    test::rule(people, "ops-admin", "group:ops", "admin");
    test::machine(people, "n1");
    test::machine(people, "n2", false);
    test::principal(test::principal(people, "alice@EXAMPLE.COM"), "bob@EXAMPLE.COM");
    server.ok(people);
}

Errc outcome(Server& server, const wire::Command& made) {
    return test::code(server.run(made));
}
constexpr Errc kDone{0};

TEST_CASE("without a set-up cluster only the system may act") {
    Server server;
    wire::Command made = as_user("alice");
    CHECK(outcome(server, test::setting(made, "a", "1")) == Errc::kDenied);
    wire::Command nobody = test::put_setting("a", "1");
    nobody.mutable_actor()->set_kind(wire::Actor::UNKNOWN);
    CHECK(outcome(server, nobody) == Errc::kUnauthenticated);
}

TEST_CASE("an admin may, others are told what is missing") {
    Server server;
    set_up(server);
    wire::Command by_alice = as_user("alice");
    CHECK(outcome(server, test::user(by_alice, "carol")) == kDone);
    wire::Command by_bob = as_user("bob");
    const auto refused = server.run(test::user(by_bob, "dave"));
    CHECK(test::code(refused) == Errc::kDenied);
    CHECK(refused.message().contains("smackd policy add NAME user:bob --allow admin --path /"));
    wire::Command foreign = command(wire::Actor::USER, "alice@OTHER.COM");
    CHECK(outcome(server, test::user(foreign, "dave")) == Errc::kDenied);
    wire::Command task = command(wire::Actor::TASK, "t1");
    CHECK(outcome(server, test::user(task, "dave")) == Errc::kDenied);
}

TEST_CASE("rights end with the rule, the membership, the account") {
    Server server;
    set_up(server);
    wire::Command by_alice = as_user("alice");
    test::setting(by_alice, "a", "1");
    REQUIRE(outcome(server, by_alice) == kDone);
    wire::Command change = command();
    SECTION("member removed") {
        test::group(change, "ops", {});
    }
    SECTION("rule removed") {
        change.add_changes()->mutable_remove_rule()->set_id("ops-admin");
    }
    SECTION("group removed") {
        change.add_changes()->mutable_remove_group()->set_name("ops");
    }
    SECTION("user removed") {
        change.add_changes()->mutable_remove_user()->set_name("alice");
    }
    SECTION("user disabled") {
        test::user(change, "alice", true);
    }
    REQUIRE(outcome(server, change) == kDone);
    CHECK(outcome(server, by_alice) == Errc::kDenied);
}

TEST_CASE("a removed user's name inherits nothing") {
    Server server;
    set_up(server);
    wire::Command grant = command();
    test::rule(grant, "bob-admin", "user:bob", "admin");
    REQUIRE(outcome(server, grant) == kDone);
    wire::Command by_bob = as_user("bob");
    test::setting(by_bob, "a", "1");
    REQUIRE(outcome(server, by_bob) == kDone);
    wire::Command again = command();
    again.add_changes()->mutable_remove_user()->set_name("bob");
    test::user(again, "bob");
    REQUIRE(outcome(server, again) == kDone);
    CHECK(outcome(server, by_bob) == Errc::kDenied);
}

TEST_CASE("users change their own password and end their own sessions, not others'") {
    Server server;
    set_up(server);
    wire::Command own = as_user("bob");
    CHECK(outcome(server, test::principal(own, "bob@EXAMPLE.COM", 1)) == kDone);
    wire::Command other = as_user("bob");
    CHECK(outcome(server, test::principal(other, "alice@EXAMPLE.COM", 1)) == Errc::kDenied);
    wire::Command mixed = as_user("bob");
    test::principal(mixed, "bob@EXAMPLE.COM", 2);
    CHECK(outcome(server, test::user(mixed, "bob")) == Errc::kDenied);
    wire::Command unknown = as_user("carol");
    CHECK(outcome(server, test::principal(unknown, "carol@EXAMPLE.COM")) == Errc::kDenied);
    wire::Command sessions = as_user("bob");
    sessions.add_changes()->mutable_revoke_tokens()->set_principal("bob@EXAMPLE.COM");
    CHECK(outcome(server, sessions) == kDone);
    sessions.mutable_changes(0)->mutable_revoke_tokens()->set_principal("alice@EXAMPLE.COM");
    CHECK(outcome(server, sessions) == Errc::kDenied);
}

TEST_CASE("set-up and recovery are not for people") {
    Server server;
    set_up(server);
    wire::Command epoch = as_user("alice");
    epoch.add_changes()->mutable_raise_epoch()->set_reason("mine");
    CHECK(outcome(server, epoch) == Errc::kDenied);
    wire::Command again = test::init_cluster();
    CHECK(outcome(server, again) == Errc::kConflict);
}

TEST_CASE("a machine writes its own node row, when it is in the registry and allowed") {
    Server server;
    set_up(server);
    wire::Command own = command(wire::Actor::MACHINE, "smack/n1@EXAMPLE.COM");
    CHECK(outcome(server, test::node(own, 7, "n1")) == kDone);
    wire::Command other = command(wire::Actor::MACHINE, "smack/n1@EXAMPLE.COM");
    CHECK(outcome(server, test::node(other, 8, "n2")) == Errc::kDenied);
    wire::Command suspended = command(wire::Actor::MACHINE, "smack/n2@EXAMPLE.COM");
    CHECK(outcome(server, test::node(suspended, 8, "n2")) == Errc::kDenied);
    wire::Command absent = command(wire::Actor::MACHINE, "smack/n3@EXAMPLE.COM");
    CHECK(outcome(server, test::node(absent, 8, "n3")) == Errc::kNotFound);
    wire::Command registered = command();
    REQUIRE(outcome(server, test::machine(registered, "n4")) == kDone);
    wire::Command taken = command(wire::Actor::MACHINE, "smack/n4@EXAMPLE.COM");
    CHECK(outcome(server, test::node(taken, 7, "n4")) == Errc::kConflict);
    // Removing the machine takes its nodes along.
    wire::Command removal = command();
    removal.add_changes()->mutable_remove_machine()->set_name("n1");
    CHECK(outcome(server, removal) == kDone);
    removal.mutable_changes(0)->mutable_remove_node()->set_node_id(7);
    CHECK(outcome(server, removal) == Errc::kNotFound);
}

TEST_CASE("values are checked in apply, whatever the door did") {
    Server server;
    set_up(server);
    const auto refused = [&](auto fill) {
        wire::Command made = command();
        fill(*made.add_changes());
        return outcome(server, made);
    };
    CHECK(refused([](wire::Change& c) { c.mutable_put_user()->set_name("Bad Name"); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_user()->set_name(""); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_group()->set_name("a/b"); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_rule()->set_id("r"); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_machine()->set_name("n9"); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_secret()->set_name("s"); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_principal()->set_name("no-realm"); }) ==
          Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_put_node()->set_node_id(1); }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) { c.mutable_remove_user()->set_name("nobody"); }) == Errc::kNotFound);
    CHECK(refused([](wire::Change& c) { c.mutable_remove_secret()->set_name("nothing"); }) ==
          Errc::kNotFound);
    CHECK(refused([](wire::Change& c) {
              c.mutable_put_principal()->set_name("x@EXAMPLE.COM");
              c.mutable_put_principal()->set_record("\xFF\xFF");
          }) == Errc::kInvalid);
    CHECK(refused([](wire::Change& c) {
              c.mutable_put_machine()->set_name("n1");
              c.mutable_put_machine()->set_state(wire::MACHINE_ALLOWED);
              c.mutable_put_machine()->add_roles("king");
          }) == Errc::kInvalid);
}

TEST_CASE("a revocation is never weakened") {
    Server server;
    set_up(server);
    wire::Command revoke = command();
    auto* tokens = revoke.add_changes()->mutable_revoke_tokens();
    tokens->set_principal("bob@EXAMPLE.COM");
    tokens->set_issued_before_ms(5'000'000);
    tokens->set_expires_ms(9'000'000);
    REQUIRE(outcome(server, revoke) == kDone);
    tokens->set_issued_before_ms(1);
    tokens->set_expires_ms(2'000'000);
    REQUIRE(outcome(server, revoke) == kDone);
    auto state = sqlite::Database::open(*server.vfs, "/data/state/state.db", sqlite::Access::kReadOnly);
    CHECK(state->integer("SELECT issued_before_ms FROM revoked_tokens").value() == 5'000'000);
    CHECK(state->integer("SELECT expires_ms FROM revoked_tokens").value() == 9'000'000);
}

}  // namespace
}  // namespace smackd::storage::state
