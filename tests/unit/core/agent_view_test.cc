#include "core/agent_view.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "core/apps/routes.h"
#include "core/wire/app.pb.h"

using namespace smackd;
using core::for_agents;
using core::NodeId;
using core::RowForAgents;

namespace {

constexpr NodeId kOwner{3};
constexpr NodeId kOther{4};

wire::Task task_of(uint64_t node, wire::TaskState state = wire::TASK_STATE_UNKNOWN) {
    wire::Task task;
    task.set_id("group_app.instance-1._app.1");
    task.set_app_id("/group/app");
    task.set_config_version_ms(7);
    task.set_node_id(node);
    task.set_host_address("10.0.0.3");
    task.add_host_ports(31000);
    task.mutable_status()->set_state(state);
    task.mutable_status()->set_message("marker: how it went");
    if (state >= wire::TASK_RUNNING) task.mutable_status()->set_started_ms(1);
    return task;
}

/// The rows of that kind and their readers: "task 3", "endpoint -3" (all but 3).
std::vector<std::string> seen_as(const std::vector<RowForAgents>& rows) {
    std::vector<std::string> seen;
    for (const RowForAgents& row : rows) {
        std::string who = row.only.value != 0     ? std::to_string(row.only.value)
                          : row.except.value != 0 ? "-" + std::to_string(row.except.value)
                                                  : "all";
        if (row.row.kind() == "definition") who = "with tasks";
        seen.push_back(row.row.kind() + " " + who + (row.row.removed() ? " removed" : ""));
    }
    return seen;
}

using Seen = std::vector<std::string>;

Seen of_task(const wire::Task& task, bool removed = false) {
    return seen_as(for_agents({"task", task.id(), task.SerializeAsString(), removed, 1}));
}

}  // namespace

TEST_CASE("agents see the registry, the cluster and where nodes are") {
    for (const char* kind : {"cluster", "level", "machine", "node", "capacity"}) {
        INFO(kind);
        const auto seen = for_agents({kind, "key", "row", false, 7});
        REQUIRE(seen.size() == 1);
        CHECK(core::agent_sees(seen.front(), kOwner));
        CHECK(seen.front().row.kind() == kind);
        CHECK(seen.front().row.key() == "key");
        CHECK(seen.front().row.row() == "row");
        CHECK(seen.front().row.version() == 7);
        CHECK(std::ranges::contains(core::agent_kinds(), kind));
    }
}

TEST_CASE("no agent sees people, rules, secrets, or a kind that nobody has thought of") {
    for (const char* kind :
         {"user", "group", "rule", "setting", "token", "principal", "secret", "epoch", "deployment",
          "endpoint", "route", "definition", "", "nodes", "Node", "something of later"}) {
        INFO(kind);
        CHECK(for_agents({kind, "key", task_of(3).SerializeAsString(), false, 7}).empty());
        CHECK(for_agents({kind, "key", "", true, 7}).empty());
    }
    // Of the settings, an operator's names.
    CHECK(for_agents({"setting", "dns/p1.dcos", "row", false, 7}).size() == 1);
    for (const char* shown : {"tenant/team-a", "tenant_number/17", "tenant_allow/team-a:team-b"})
        CHECK(for_agents({"setting", shown, "row", false, 7}).size() == 1);
}

TEST_CASE("a task is seen whole by its node alone, others see where it is while it runs") {
    CHECK(of_task(task_of(3)) == Seen{"task 3"});
    CHECK(of_task(task_of(3, wire::TASK_STARTING)) == Seen{"task 3"});
    CHECK(of_task(task_of(3, wire::TASK_RUNNING)) == Seen{"task 3", "endpoint -3"});
    CHECK(of_task(task_of(3, wire::TASK_UNREACHABLE)) == Seen{"task 3", "endpoint -3"});
    CHECK(of_task(task_of(3, wire::TASK_FAILED)) == Seen{"task 3", "endpoint -3 removed"});
    // One that begins again is nowhere for a while.
    wire::Task again = task_of(3, wire::TASK_STAGING);
    again.mutable_status()->set_started_ms(1);
    CHECK(of_task(again) == Seen{"task 3", "endpoint -3 removed"});

    const auto rows =
        for_agents({"task", "t1", task_of(3, wire::TASK_RUNNING).SerializeAsString(), false, 1});
    CHECK(core::agent_sees(rows[0], kOwner));
    CHECK_FALSE(core::agent_sees(rows[0], kOther));
    CHECK_FALSE(core::agent_sees(rows[1], kOwner));
    CHECK(core::agent_sees(rows[1], kOther));
    CHECK(rows[0].definition == "/group/app 7");
    wire::Task endpoint;
    REQUIRE(endpoint.ParseFromString(rows[1].row.row()));
    CHECK(endpoint.host_address() == "10.0.0.3");
    CHECK(endpoint.host_ports(0) == 31000);
    CHECK_FALSE(rows[1].row.row().contains("marker"));
}

TEST_CASE("the removal of a task goes to its node; to all when the change does not say whose it was") {
    CHECK(of_task(task_of(3, wire::TASK_FAILED), true) == Seen{"task 3 removed"});
    // One that never ended takes its endpoint along.
    CHECK(of_task(task_of(3, wire::TASK_UNREACHABLE), true) == Seen{"task 3 removed", "endpoint -3 removed"});
    const auto anyone = for_agents({"task", "t1", "", true, 2});
    CHECK(seen_as(anyone) == Seen{"task all removed", "endpoint all removed"});
    for (const RowForAgents& row : anyone) CHECK(row.row.row().empty());
    // A task of no node is for nobody, nor is what is no task.
    CHECK(of_task(task_of(0)).empty());
    CHECK(for_agents({"task", "t1", "\xff\xff\xff", false, 1}).empty());
}

TEST_CASE("what an app runs is for who has its tasks, where it is routed for all") {
    wire::AppDefinition app;
    app.set_id("/group/app");
    app.set_config_version_ms(7);
    app.set_cmd("marker: run this");
    app.add_env()->set_name("MARKER");
    app.mutable_env(0)->set_plain("marker");
    app.add_secrets()->set_source("marker");
    app.add_ports()->set_service_port(10080);
    app.add_labels()->set_key("HAPROXY_GROUP");
    app.add_labels()->set_key("marker");
    app.add_health_checks()->set_command("marker");
    app.mutable_health_checks(0)->set_path("/marker");
    app.mutable_health_checks(0)->set_protocol(wire::CHECK_MESOS_HTTP);
    app.mutable_health_checks(0)->set_port_index(0);
    const auto rows = for_agents({"app", "/group/app", app.SerializeAsString(), false, 5});
    REQUIRE(seen_as(rows) == Seen{"route all", "definition with tasks"});
    CHECK_FALSE(rows[0].row.row().contains("arker"));
    wire::AppDefinition route;
    REQUIRE(route.ParseFromString(rows[0].row.row()));
    CHECK(route.ports(0).service_port() == 10080);
    CHECK(route.labels_size() == 1);
    CHECK(route.health_checks_size() == 1);
    // An edge of an agent makes of it what an edge of a server makes of the whole.
    CHECK(apps::routes_of(route).routes.at(0).mode == apps::RouteMode::kHttp);
    CHECK(apps::routes_of(app).routes.at(0).mode == apps::RouteMode::kHttp);
    CHECK_FALSE(core::agent_sees(rows[1], kOwner));  // but by agent_definitions.h
    CHECK(rows[1].row.key() == "/group/app 7");
    CHECK(rows[1].row.version() == 5);
    CHECK(seen_as(for_agents({"app", "/group/app", "", true, 6})) == Seen{"route all removed"});
    CHECK(for_agents({"app", "/other", app.SerializeAsString(), false, 5}).empty());
}
