#include "services/apps/edge_table.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::services {
namespace {

struct World {
    World() {
        wire::AppDefinition& app = model.apps["/web"].put;
        app.set_id("/web");
        app.set_version_ms(10);
        app.add_networks()->set_mode(wire::NETWORK_BRIDGE);
        app.add_ports()->set_container_port(80);
        wire::Task& task = model.tasks["t1"].put;
        task.set_id("t1");
        task.set_app_id("/web");
        task.set_app_version_ms(10);
        task.set_node_id(1);
        task.set_host_address("10.0.0.1");
        task.add_host_ports(31000);
        task.mutable_status()->set_state(wire::TASK_RUNNING);
        task.mutable_status()->set_task_address("10.64.0.2");
    }
    wire::AppDefinition& app() { return model.apps["/web"].put; }
    wire::Task& task() { return model.tasks["t1"].put; }
    wire::EdgeTask told() {
        const wire::EdgeTable table =
            edge_table(model, {.self = core::NodeId{1}, .settings = {}, .leader = {}});
        REQUIRE(table.tasks_size() == 1);
        return table.tasks(0);
    }
    AppsModel model;
};

TEST_CASE("a task gets requests when its checks say that it is well") {
    World world;
    CHECK(world.told().health() == wire::EdgeTask::NO_CHECKS);
    CHECK(world.told().ports(0).backend() == "10.64.0.2:80");
    world.app().add_health_checks();
    CHECK(world.told().health() == wire::EdgeTask::PENDING);
    wire::HealthResult& result = *world.task().mutable_status()->add_health();
    CHECK(world.told().health() == wire::EdgeTask::PENDING);
    result.set_alive(true);
    CHECK(world.told().health() == wire::EdgeTask::HEALTHY);
    result.set_alive(false);
    result.set_consecutive_failures(1);
    CHECK(world.told().health() == wire::EdgeTask::UNHEALTHY);
}

TEST_CASE("with a readiness check it gets none before it is ready") {
    World world;
    world.app().add_readiness_checks();
    CHECK(world.told().health() == wire::EdgeTask::PENDING);
    world.task().mutable_status()->set_ready(true);
    CHECK(world.told().health() == wire::EdgeTask::HEALTHY);
}

TEST_CASE("checks that came after a task and were not looked at yet take no requests from it") {
    World world;
    world.app().add_health_checks();
    world.task().mutable_status()->add_health()->set_alive(true);
    world.app().add_health_checks();
    CHECK(world.told().health() == wire::EdgeTask::PENDING);  // a task of this version must have both
    world.app().set_version_ms(11);
    CHECK(world.told().health() == wire::EdgeTask::HEALTHY);
    world.task().mutable_status()->mutable_health(0)->set_alive(false);
    CHECK(world.told().health() == wire::EdgeTask::PENDING);
}

TEST_CASE("a task that is to end drains") {
    World world;
    CHECK_FALSE(world.told().draining());
    world.task().set_desired(wire::Task::KILL);
    CHECK(world.told().draining());
    world.task().mutable_status()->set_state(wire::TASK_KILLING);
    CHECK_FALSE(world.told().running());
    CHECK(world.told().ports(0).backend() == "10.64.0.2:80");  // what is in hand for it is still known by it
}

TEST_CASE("a task is its tenant's, and asks from its own address") {
    World world;
    CHECK(world.told().tenant().empty());
    CHECK(world.told().sources(0) == "10.64.0.2");
    CHECK(world.told().addresses().empty());  // of a bridge: names mean the host
    world.model.names["tenant/team"] = {"/other", "/web"};
    CHECK(world.told().tenant() == "team");
    const wire::EdgeTable elsewhere =
        edge_table(world.model, {.self = core::NodeId{2}, .settings = {}, .leader = {}});
    CHECK(elsewhere.tasks(0).tenant() == "team");
    CHECK(elsewhere.tasks(0).sources().empty());
}

}  // namespace
}  // namespace smackd::services
