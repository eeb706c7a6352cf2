// Admission of nodes: what apply grants, whoever proposed it.
#include <catch2/catch_test_macros.hpp>

#include "storage/state/limits.h"
#include "storage/state/reader.h"
#include "tests/unit/storage/state/machine.h"

namespace smackd::storage::state {
namespace {

using core::Errc;
using test::command;
using test::Server;

constexpr Errc kDone{0};
constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kNowMs = 1'000'000;

std::string key(char digit) {
    return std::string(64, digit);
}

wire::Command put_machine(const std::string& name, std::vector<std::string> roles, bool allowed = true,
                          uint64_t generation = 0) {
    wire::Command made = command();
    auto* machine = made.add_changes()->mutable_put_machine();
    machine->set_name(name);
    for (const std::string& role : roles) machine->add_roles(role);
    machine->set_state(allowed ? wire::MACHINE_ALLOWED : wire::MACHINE_SUSPENDED);
    machine->set_generation(generation);
    return made;
}

void set_up(Server& server) {
    server.ok(test::init_cluster());
    server.ok(put_machine("n1", {"server"}));
    wire::Command first = command();
    test::node(first, 1, "n1");
    first.add_changes()->mutable_raise_feature_level()->set_level(2);
    server.ok(first);
    server.ok(put_machine("n2", {"agent", "public"}));
}

/// n2 joins as node 2 with key a; `change` makes it something else.
template <class Change>
wire::Command admit(Change change, int64_t now_ms = kNowMs) {
    wire::Command made = command(wire::Actor::MACHINE, "smack/n2@EXAMPLE.COM");
    made.set_feature_level(2);
    made.set_time_ms(now_ms);
    wire::AdmitNode* node = made.add_changes()->mutable_admit_node();
    node->set_node_id(2);
    node->set_machine("n2");
    node->add_roles("agent");
    node->set_address("n2:5055");
    node->set_certificate_serial("01");
    node->set_certificate_not_after_ms(now_ms + 24 * kHourMs);
    node->set_public_key_sha256(key('a'));
    node->set_proved_by_kerberos(true);
    change(*node);
    return made;
}
wire::Command admit() {
    return admit([](wire::AdmitNode&) {});
}

Errc outcome(Server& server, const wire::Command& made) {
    return test::code(server.run(made));
}

}  // namespace

TEST_CASE("a machine is admitted as what the registry allows, with an id that was never given") {
    Server server;
    set_up(server);
    CHECK(outcome(server, admit([](auto& n) { n.set_machine("n3"); })) == Errc::kDenied);  // the actor is n2
    CHECK(outcome(server, admit([](auto& n) { n.set_roles(0, "server"); })) == Errc::kDenied);
    CHECK(outcome(server, admit([](auto& n) { n.add_roles("server"); })) == Errc::kInvalid);
    CHECK(outcome(server, admit([](auto& n) { n.set_generation(1); })) == Errc::kConflict);
    CHECK(outcome(server, admit([](auto& n) { n.set_node_id(1); })) == Errc::kConflict);
    CHECK(outcome(server, admit([](auto& n) { n.set_certificate_not_after_ms(kNowMs + 26 * kHourMs); })) ==
          Errc::kInvalid);
    CHECK(outcome(server, admit([](auto& n) { n.set_public_key_sha256("abc"); })) == Errc::kInvalid);
    CHECK(outcome(server, admit([](auto& n) { n.set_proved_by_kerberos(false); })) == Errc::kUnauthenticated);
    CHECK(outcome(server, admit()) == kDone);

    wire::Command removal = command();
    removal.add_changes()->mutable_remove_node()->set_node_id(2);
    server.ok(removal);
    CHECK(outcome(server, admit()) == Errc::kConflict);  // 2 is spent
    CHECK(outcome(server, admit([](auto& n) { n.set_node_id(3); })) == kDone);
}

TEST_CASE("unregistered, suspended and removed machines are not admitted") {
    Server server;
    set_up(server);
    server.ok(put_machine("n2", {"agent"}, false));
    CHECK(outcome(server, admit()) == Errc::kDenied);
    wire::Command removal = command();
    removal.add_changes()->mutable_remove_machine()->set_name("n2");
    server.ok(removal);
    const auto refused = server.run(admit());
    CHECK(test::code(refused) == Errc::kNotFound);
    CHECK(refused.message().contains("smackd machine add n2"));
}

TEST_CASE("a node's new certificate goes to the holder of its key") {
    Server server;
    set_up(server);
    server.ok(admit());
    // The keytab alone (another key, none proved) does not take the node's place, nor a second id.
    CHECK(outcome(server, admit([](auto& n) { n.set_public_key_sha256(key('b')); })) == Errc::kConflict);
    CHECK(outcome(server, admit([](auto& n) { n.set_node_id(3); })) == Errc::kConflict);
    const auto renewal = [](auto& n) {
        n.set_public_key_sha256(key('b'));
        n.set_proved_key_sha256(key('a'));
    };
    CHECK(outcome(server, admit(renewal)) == kDone);
    // The answer was lost: the node still shows a, and asks for b again.
    CHECK(outcome(server, admit(renewal)) == kDone);
    CHECK(outcome(server, admit()) == Errc::kConflict);
}

TEST_CASE("without Kerberos a node renews for 72 hours after the last proof") {
    Server server;
    set_up(server);
    server.ok(admit());
    const auto unproved = [](auto& n) { n.set_proved_by_kerberos(false); };
    CHECK(outcome(server, admit(unproved, kNowMs + 24 * kHourMs)) == kDone);
    CHECK(outcome(server, admit(unproved, kNowMs + 72 * kHourMs)) == kDone);
    CHECK(outcome(server, admit(unproved, kNowMs + 72 * kHourMs + 1)) == Errc::kUnauthenticated);
    CHECK(outcome(server, admit([](auto&) {}, kNowMs + 73 * kHourMs)) == kDone);
    CHECK(outcome(server, admit(unproved, kNowMs + 100 * kHourMs)) == kDone);
}

TEST_CASE("before feature level 2 nobody is admitted, and afterwards no machine writes its own row") {
    Server server;
    server.ok(test::init_cluster());
    server.ok(put_machine("n2", {"agent"}));
    CHECK(outcome(server, admit()) == Errc::kUnsupported);
    wire::Command raise = command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(2);
    server.ok(raise);
    wire::Command own = command(wire::Actor::MACHINE, "smack/n2@EXAMPLE.COM");
    CHECK(outcome(server, test::node(own, 7, "n2")) == Errc::kDenied);
}

wire::Command drain(uint64_t node, int64_t deadline_ms = 0, int64_t time_ms = kNowMs) {
    wire::Command made = command();
    made.set_feature_level(kLevelOfDrains);
    made.set_time_ms(time_ms);
    wire::DrainNode& row = *made.add_changes()->mutable_drain_node();
    row.set_node_id(node);
    row.set_deadline_ms(deadline_ms);
    return made;
}

wire::Command undrain(uint64_t node) {
    wire::Command made = command();
    made.set_feature_level(kLevelOfDrains);
    made.add_changes()->mutable_undrain_node()->set_node_id(node);
    return made;
}

TEST_CASE("a node is drained from the command's time on, until it is undrained or removed") {
    Server server;
    set_up(server);
    CHECK(outcome(server, drain(1)) == Errc::kUnsupported);  // at level 2
    wire::Command raise = command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(kLevelOfDrains);
    server.ok(raise);
    CHECK(outcome(server, drain(7)) == Errc::kNotFound);
    CHECK(outcome(server, drain(1, -1)) == Errc::kInvalid);
    CHECK(outcome(server, drain(1, kDrainMsMax + 1)) == Errc::kInvalid);
    CHECK(outcome(server, undrain(1)) == Errc::kNotFound);
    const auto drains = [&server] {
        StateReader reader({"/data/state", *server.vfs, server.machine().generation()});
        auto view = reader.view();
        REQUIRE(view.has_value());
        return view->drains().value();
    };
    server.ok(drain(1, 500, kNowMs + 5));
    REQUIRE(drains().size() == 1);
    CHECK(drains()[0].put.start_ms() == kNowMs + 5);
    server.ok(undrain(1));
    CHECK(drains().empty());
    server.ok(drain(1));
    wire::Command removal = command();
    removal.add_changes()->mutable_remove_node()->set_node_id(1);
    server.ok(removal);
    CHECK(drains().empty());
}

}  // namespace smackd::storage::state
