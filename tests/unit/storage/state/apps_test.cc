// Applications and tasks in apply: who may, and what two plans could break together.
#include <algorithm>

#include "core/marathon/app_json.h"
#include "storage/state/limits.h"
#include "storage/state/reader.h"
#include "tests/unit/storage/state/machine.h"

using namespace smackd;
using test::Server;

namespace {

constexpr uint32_t kLevel = 4;

wire::Command app_command(wire::Actor::Kind kind = wire::Actor::SYSTEM,
                          const std::string& principal = "system") {
    wire::Command made = test::command(kind, principal);
    made.set_feature_level(kLevel);
    return made;
}

wire::AppDefinition definition(const std::string& id, const std::string& more = "") {
    auto json = core::Json::parse(R"({"id": ")" + id + R"(", "cmd": "sleep 1")" + more + "}");
    REQUIRE(json);
    auto app = marathon::app_from_json(*json, {});
    REQUIRE(app);
    app->set_version_ms(1000);
    app->set_config_version_ms(1000);
    return *app;
}

wire::Command put(wire::Command made, const wire::AppDefinition& app) {
    *made.add_changes()->mutable_put_app()->mutable_app() = app;
    return made;
}

wire::Task task(const std::string& id, uint64_t cpus_milli, uint32_t port = 0) {
    wire::Task made;
    made.set_id(id);
    made.set_app_id("/a/web");
    made.set_node_id(1);
    made.set_machine("n1");
    made.mutable_resources()->set_cpus_milli(cpus_milli);
    if (port != 0) made.add_host_ports(port);
    return made;
}

wire::Command put(const wire::Task& row, wire::Command made = app_command()) {
    *made.add_changes()->mutable_put_task()->mutable_task() = row;
    return made;
}

wire::Command status(const std::string& id, wire::TaskState state, wire::Command made = app_command()) {
    auto* update = made.add_changes()->mutable_update_task_status();
    update->set_task_id(id);
    update->mutable_status()->set_state(state);
    return made;
}

wire::Command as_machine(const std::string& name) {
    return app_command(wire::Actor::MACHINE, "smack/" + name + "@EXAMPLE.COM");
}

/// A cluster with node 1 of two cpus on machine n1, user ann who may launch, change and kill below /a, and
/// /a/web.
void set_up(Server& server) {
    server.ok(test::init_cluster());
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(kLevel);
    server.ok(raise);
    wire::Command rows = test::command();
    test::machine(rows, "n1");
    test::machine(rows, "n2");
    test::node(rows, 1, "n1");
    test::user(rows, "ann");
    auto* rule = rows.add_changes()->mutable_put_rule();
    rule->set_id("ann");
    rule->set_subject("user:ann");
    for (const char* action : {"launch", "change", "kill"}) rule->add_actions(action);
    rule->set_tenant("*");
    rule->set_path("/a");
    server.ok(rows);
    wire::Command capacity = as_machine("n1");
    auto* told = capacity.add_changes()->mutable_put_node_capacity()->mutable_capacity();
    told->set_node_id(1);
    told->mutable_total()->set_cpus_milli(2000);
    server.ok(capacity);
    server.ok(put(app_command(), definition("/a/web")));
}

wire::Command by_ann() {
    return app_command(wire::Actor::USER, "ann@EXAMPLE.COM");
}

}  // namespace

TEST_CASE("a user changes apps below the path of a rule, and nothing beside it") {
    Server server;
    set_up(server);
    CHECK(server.run(put(by_ann(), definition("/a/new"))).code() == 0);
    for (const char* id : {"/b/new", "/ab", "/new"}) {
        const auto refused = server.run(put(by_ann(), definition(id)));
        CHECK(test::code(refused) == core::Errc::kDenied);
        CHECK(refused.message().contains("launch"));
    }
    wire::Command removal = by_ann();
    removal.add_changes()->mutable_remove_app()->set_id("/a/web");
    CHECK(server.run(removal).code() == 0);
    CHECK(test::code(server.run(removal)) == core::Errc::kNotFound);
}

TEST_CASE("what reaches the node beyond its tenant takes an admin of the path") {
    Server server;
    set_up(server);
    const std::string docker = R"(, "container": {"type": "DOCKER", "docker": {"image": "x")";
    for (const std::string& more :
         {docker + R"(, "privileged": true}})",
          docker + R"(}, "volumes": [{"containerPath": "/host", "hostPath": "/etc", "mode": "RW"}]})"}) {
        const auto refused = server.run(put(by_ann(), definition("/a/root", more)));
        INFO(refused.message());
        CHECK(test::code(refused) == core::Errc::kDenied);
        CHECK(refused.message().contains("admin"));
        CHECK(server.run(put(app_command(), definition("/a/root", more))).code() == 0);
    }
    CHECK(server.run(put(by_ann(), definition("/a/plain", docker + "}}"))).code() == 0);
}

TEST_CASE("an id must be absolute and normal: no other spelling passes a rule") {
    Server server;
    set_up(server);
    wire::AppDefinition app = definition("/a/x");
    for (const char* id : {"a/x", "/a/../b", "/a//x", "/a/x/", "", "/"}) {
        app.set_id(id);
        CHECK(server.run(put(app_command(), app)).code() != 0);
    }
}

TEST_CASE("what another app has of the edge is not taken without a right on that app") {
    Server server;
    set_up(server);
    const std::string labels =
        R"(, "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "shop.example"},
        "portDefinitions": [{"port": 10100}])";
    server.ok(put(app_command(), definition("/b/shop", labels)));
    const auto host =
        server.run(put(by_ann(), definition("/a/thief", R"(, "labels": {"HAPROXY_GROUP": "external",
        "HAPROXY_0_VHOST": "shop.example"}, "portDefinitions": [{"port": 10200}])")));
    CHECK(test::code(host) == core::Errc::kDenied);
    CHECK(host.message().contains("shop.example"));
    const auto port =
        server.run(put(by_ann(), definition("/a/thief", R"(, "portDefinitions": [{"port": 10100}])")));
    CHECK(test::code(port) == core::Errc::kDenied);
    CHECK(port.message().contains("10100"));
    CHECK(
        server.run(put(by_ann(), definition("/a/own", R"(, "portDefinitions": [{"port": 10300}])"))).code() ==
        0);
}

TEST_CASE("two plans cannot give away more than a node has, nor a port twice") {
    Server server;
    set_up(server);
    server.ok(put(task("a_web.one", 1500, 31000)));
    const auto full = server.run(put(task("a_web.two", 600)));
    CHECK(test::code(full) == core::Errc::kConflict);
    CHECK(full.message().contains("cpus"));
    CHECK(test::code(server.run(put(task("a_web.two", 100, 31000)))) == core::Errc::kConflict);
    server.ok(status("a_web.one", wire::TASK_FINISHED, as_machine("n1")));
    server.ok(put(task("a_web.two", 2000, 31000)));  // what has ended holds nothing
}

TEST_CASE("a task's status is its own node's to tell, once it has ended nobody's") {
    Server server;
    set_up(server);
    server.ok(put(task("a_web.one", 100)));
    CHECK(test::code(server.run(status("a_web.one", wire::TASK_RUNNING, as_machine("n2")))) ==
          core::Errc::kDenied);
    CHECK(test::code(server.run(status("a_web.one", wire::TASK_RUNNING, by_ann()))) == core::Errc::kDenied);
    server.ok(status("a_web.one", wire::TASK_RUNNING, as_machine("n1")));
    wire::Task killed = task("a_web.one", 100);
    killed.set_desired(wire::Task::KILL);
    killed.mutable_status()->set_state(wire::TASK_FAILED);  // not the leader's to say here
    server.ok(put(killed));
    server.ok(status("a_web.one", wire::TASK_KILLED, as_machine("n1")));
    CHECK(test::code(server.run(status("a_web.one", wire::TASK_RUNNING, as_machine("n1")))) ==
          core::Errc::kConflict);
    auto reader = storage::state::StateReader({"/data/state", *server.vfs, server.machine().generation()});
    auto view = reader.view();
    REQUIRE(view);
    auto row = view->task("a_web.one");
    REQUIRE(row);
    REQUIRE(*row);
    CHECK((*row)->put.status().state() == wire::TASK_KILLED);
    CHECK((*row)->put.desired() == wire::Task::KILL);
}

TEST_CASE("a user may end a task of an app, and change nothing else of it") {
    Server server;
    set_up(server);
    server.ok(put(task("a_web.one", 100)));
    CHECK(test::code(server.run(put(task("a_web.new", 100), by_ann()))) == core::Errc::kDenied);
    wire::Task wanted = task("a_web.one", 100);
    wanted.set_node_id(2);
    CHECK(test::code(server.run(put(wanted, by_ann()))) == core::Errc::kDenied);
    wanted.set_desired(wire::Task::KILL);
    server.ok(put(wanted, by_ann()));
    auto reader = storage::state::StateReader({"/data/state", *server.vfs, server.machine().generation()});
    auto view = reader.view();
    REQUIRE(view);
    auto row = view->task("a_web.one");
    REQUIRE(row);
    CHECK((*row)->put.node_id() == 1);
    CHECK((*row)->put.desired() == wire::Task::KILL);
}

TEST_CASE("a task changes what a rule on its app grants, while it runs, and applications alone") {
    Server server;
    set_up(server);
    server.ok(put(task("a_web.one", 100)));
    const auto by_task = [](const std::string& id) {
        wire::Command made = app_command(wire::Actor::TASK, "task:" + id);
        made.set_feature_level(storage::state::kLevelOfTaskActors);
        return made;
    };
    const auto refused = [&](const wire::Command& made) {
        return test::code(server.run(made)) == core::Errc::kDenied;
    };
    wire::Command rule = test::command();
    test::rule(rule, "web", "task:/a/web", "change");
    rule.mutable_changes(0)->mutable_put_rule()->set_path("/b");
    rule.mutable_changes(0)->mutable_put_rule()->add_actions("host");
    rule.set_feature_level(storage::state::kLevelOfTaskActors);
    CHECK(test::code(server.run(rule)) == core::Errc::kUnsupported);  // the cluster is not there yet
    CHECK(test::code(server.run(put(by_task("a_web.one"), definition("/b/x")))) == core::Errc::kUnsupported);
    wire::Command early = by_task("a_web.one");
    early.set_feature_level(kLevel);
    CHECK(refused(put(early, definition("/b/x"))));
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(storage::state::kLevelOfTaskActors);
    server.ok(raise);
    server.ok(put(app_command(), definition("/b/x")));
    CHECK(refused(put(by_task("a_web.one"), definition("/b/x"))));
    wire::Command undeclared = rule;
    undeclared.set_feature_level(1);
    CHECK(test::code(server.run(undeclared)) == core::Errc::kUnsupported);
    server.ok(rule);
    CHECK(refused(put(early, definition("/b/x"))));
    server.ok(put(by_task("a_web.one"), definition("/b/x")));
    // Neither elsewhere, nor another right, nor for another task, nor anything but applications.
    CHECK(refused(put(by_task("a_web.one"), definition("/c/x"))));
    CHECK(refused(put(by_task("a_web.one"), definition("/a/web"))));
    CHECK(refused(put(by_task("a_web.one"), definition("/b/new"))));
    CHECK(refused(put(by_task("a_web.two"), definition("/b/x"))));
    CHECK(refused(put(app_command(wire::Actor::TASK, "a_web.one"), definition("/b/x"))));
    wire::Command people = by_task("a_web.one");
    CHECK(refused(test::user(people, "dave")));
    wire::Command everything = test::command();
    test::rule(everything, "all", "task:/a/web", "admin");
    everything.set_feature_level(storage::state::kLevelOfTaskActors);
    server.ok(everything);
    CHECK(refused(people));
    CHECK(refused(status("a_web.one", wire::TASK_FAILED, by_task("a_web.one"))));
    wire::Command killed = by_task("a_web.one");
    wire::Task end = task("a_web.one", 100);
    end.set_desired(wire::Task::KILL);
    server.ok(put(end, killed));
    // Its rights end with it.
    server.ok(status("a_web.one", wire::TASK_KILLED, as_machine("n1")));
    CHECK(refused(put(by_task("a_web.one"), definition("/b/x"))));
}

TEST_CASE("commands of applications need feature level 4") {
    Server server({}, 2);
    server.ok(test::init_cluster());
    wire::Command low = put(app_command(), definition("/a/web"));
    low.set_feature_level(1);
    Server other;
    other.ok(test::init_cluster());
    CHECK(test::code(other.run(low)) == core::Errc::kUnsupported);
    CHECK_FALSE(server.try_entry({put(app_command(), definition("/a/web"))}));  // an older build stops there
}

TEST_CASE("versions of an app are kept, the oldest go") {
    Server server;
    set_up(server);
    wire::AppDefinition app = definition("/a/web");
    for (int64_t version = 2000; version < 2040; ++version) {
        app.set_version_ms(version);
        server.ok(put(app_command(), app));
    }
    auto reader = storage::state::StateReader({"/data/state", *server.vfs, server.machine().generation()});
    auto view = reader.view();
    REQUIRE(view);
    auto versions = view->app_versions("/a/web");
    REQUIRE(versions);
    CHECK(versions->size() == 25);
    CHECK(versions->front() == 2039);
    auto newest = view->app_version("/a/web", 2039);
    REQUIRE(newest);
    CHECK(newest->has_value());
}
