// Programs in tasks: who may, and what the audit says.
#include "core/marathon/app_json.h"
#include "storage/state/reader.h"
#include "tests/unit/storage/state/machine.h"

using namespace smackd;
using namespace smackd::storage::state;
using core::Errc;
using test::Server;

namespace {

constexpr const char* kTask = "a_web.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43._app.1";

wire::Command note(wire::Command made, const std::string& task = kTask) {
    made.set_feature_level(kLevelOfExecNotes);
    wire::NoteExec& exec = *made.add_changes()->mutable_note_exec();
    exec.set_task(task);
    exec.set_program("sh");
    exec.set_machine("n1");
    exec.set_source("10.1.2.3:4711");
    return made;
}

/// At `level`, with /a/web's task on n1, ann who may exec below /a, and bob who may all else there.
void set_up(Server& server, uint32_t level = kLevelOfExecNotes) {
    server.ok(test::init_cluster());
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(level);
    server.ok(raise);
    wire::Command rows = test::command();
    for (const char* name : {"ann", "bob"}) test::user(rows, name);
    for (const auto& [name, actions] :
         {std::pair("ann", std::vector{"exec"}), {"bob", std::vector{"view", "launch", "change", "kill"}}}) {
        wire::PutRule& rule = *rows.add_changes()->mutable_put_rule();
        rule.set_id(name);
        rule.set_subject(std::string("user:") + name);
        for (const char* action : actions) rule.add_actions(action);
        rule.set_tenant("*");
        rule.set_path("/a");
    }
    server.ok(rows);
    wire::Command nodes = test::command();
    test::machine(nodes, "n1");
    test::node(nodes, 1, "n1");
    server.ok(nodes);
    auto app = marathon::app_from_json(*core::Json::parse(R"({"id": "/a/web", "cmd": "sleep 1"})"), {});
    REQUIRE(app);
    app->set_version_ms(1000);
    app->set_config_version_ms(1000);
    wire::Command told = test::command();
    told.set_feature_level(kLevelOfApps);
    *told.add_changes()->mutable_put_app()->mutable_app() = *app;
    wire::NodeCapacity& capacity = *told.add_changes()->mutable_put_node_capacity()->mutable_capacity();
    capacity.set_node_id(1);
    wire::Task& task = *told.add_changes()->mutable_put_task()->mutable_task();
    task.set_id(kTask);
    task.set_app_id("/a/web");
    task.set_node_id(1);
    task.set_machine("n1");
    server.ok(told);
}

std::vector<AuditRow> audit(Server& server) {
    StateReader reader({"/data/state", *server.vfs, server.machine().generation()});
    auto view = reader.view();
    REQUIRE(view.has_value());
    return view->audit(0, 100).value();
}

}  // namespace

TEST_CASE("who may exec is in the audit with the program, the node and where the request came from") {
    Server server;
    set_up(server);
    const size_t before = audit(server).size();
    server.ok(note(test::as_user("ann")));
    const auto rows = audit(server);
    REQUIRE(rows.size() == before + 1);
    CHECK(rows[0].principal == "ann@EXAMPLE.COM");
    CHECK(rows[0].summary == std::string("exec ") + kTask + ": sh on n1 from 10.1.2.3:4711");
    wire::Command late = note(test::as_user("ann"));
    late.mutable_changes(0)->mutable_note_exec()->set_late(true);
    server.ok(late);
    CHECK(audit(server)[0].summary.ends_with("(recorded late: the cluster had no leader)"));
}

TEST_CASE("whoever may not is refused, and leaves no row") {
    Server server;
    set_up(server);
    const size_t before = audit(server).size();
    CHECK(test::code(server.run(note(test::as_user("bob")))) == Errc::kDenied);
    CHECK(test::code(server.run(note(test::as_user("eve")))) == Errc::kDenied);
    CHECK(test::code(server.run(note(test::command(wire::Actor::SYSTEM)))) == Errc::kDenied);
    CHECK(test::code(server.run(note(test::command(wire::Actor::MACHINE, "smack/n1@EXAMPLE.COM")))) ==
          Errc::kDenied);
    const std::string other = "b_web.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b43._app.1";
    CHECK(test::code(server.run(note(test::as_user("ann"), other))) == Errc::kDenied);
    CHECK(audit(server).size() == before);
}

TEST_CASE("a row must say what can be read") {
    Server server;
    set_up(server);
    const std::string gone = "a_web.instance-5ed4c0c5-9ff8-4a6f-a0cd-f57f59a34b44._app.1";
    CHECK(test::code(server.run(note(test::as_user("ann"), gone))) == Errc::kNotFound);
    CHECK(test::code(server.run(note(test::as_user("ann"), "what"))) == Errc::kInvalid);
    for (const std::string& program : {std::string("a\nb"), std::string(300, 'x')}) {
        wire::Command wrong = note(test::as_user("ann"));
        wrong.mutable_changes(0)->mutable_note_exec()->set_program(program);
        CHECK(test::code(server.run(wrong)) == Errc::kInvalid);
    }
}

TEST_CASE("before its feature level nothing is recorded") {
    Server server;
    set_up(server, kLevelOfDrains);
    CHECK(test::code(server.run(note(test::as_user("ann")))) == Errc::kUnsupported);
    wire::Command hidden = note(test::as_user("ann"));
    hidden.set_feature_level(kLevelOfDrains);
    CHECK(test::code(server.run(hidden)) == Errc::kUnsupported);
}
