// Stories of one cluster: starting, scaling, replacing, failing.
#include "core/apps/plan.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <set>

#include "tests/unit/core/apps/cluster.h"

namespace smackd::apps {
namespace {

wire::AppDefinition sleeper(uint32_t instances) {
    wire::AppDefinition app =
        Cluster::app(R"({"id": "/sleep", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16})");
    app.set_instances(instances);
    return app;
}

TEST_CASE("an app starts: a task with an id of Marathon's form, a node and ports") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(Cluster::app(R"({"id": "/g/web", "cmd": "serve", "ports": [0, 8080], "cpus": 0.5})"));
    CHECK(cluster.settle() == 2);
    const wire::Task& task = cluster.only("/g/web");
    CHECK(task.id().starts_with("g_web.instance-"));
    CHECK(task.id().ends_with("._app.1"));
    CHECK(task.machine() == "n1");
    CHECK(task.host_address() == "10.0.0.1");
    REQUIRE(task.host_ports_size() == 2);
    CHECK(task.host_ports(0) >= kHostPorts.first);
    CHECK(task.host_ports(0) != task.host_ports(1));
    CHECK(task.role() == "*");
    CHECK(cluster.log == std::vector<std::string>{"step 1", "launch /g/web on n1", "finished d1"});
    CHECK(cluster.last.next_ms == 0);
    CHECK(cluster.last.waiting.empty());
}

TEST_CASE("asking again changes nothing when nothing has changed") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(5));
    REQUIRE(cluster.settle() > 0);
    const size_t done = cluster.log.size();
    cluster.run(10);
    CHECK(cluster.log.size() == done);
    CHECK(cluster.last.actions.empty());
}

TEST_CASE("tasks spread over the nodes") {
    Cluster cluster;
    for (const auto* name : {"n1", "n2", "n3"}) cluster.add_node(name, 4);
    cluster.put(sleeper(9));
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.per_machine("/sleep") == std::map<std::string, uint32_t>{{"n1", 3}, {"n2", 3}, {"n3", 3}});
}

TEST_CASE("scaling up and down; the youngest go first, or the oldest when asked for") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(2));
    REQUIRE(cluster.settle() > 0);
    std::set<std::string> first;
    for (const auto* task : cluster.tasks("/sleep")) first.insert(task->id());
    cluster.put(sleeper(5));
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.running("/sleep") == 5);
    const bool oldest_first = GENERATE_COPY(false, true);
    auto smaller = sleeper(2);
    smaller.set_kill_selection(oldest_first ? wire::OLDEST_FIRST : wire::YOUNGEST_FIRST);
    cluster.put(smaller);
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.running("/sleep") == 2);
    for (const auto* task : cluster.tasks("/sleep")) CHECK(first.contains(task->id()) == !oldest_first);
}

TEST_CASE("an app that was removed is stopped with its grace, and its deployment ends with its last task") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(3));
    REQUIRE(cluster.settle() > 0);
    cluster.kill_ticks = 5;
    cluster.remove("/sleep");
    cluster.run(3);
    CHECK(cluster.deployments.size() == 1);
    CHECK(cluster.tasks("/sleep").size() == 3);
    CHECK(cluster.settle() > 0);
    CHECK(cluster.tasks("/sleep").empty());
}

TEST_CASE("labels, checks, constraints and strategies change without a restart") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(2));
    REQUIRE(cluster.settle() > 0);
    auto changed = sleeper(2);
    changed.add_labels()->set_key("a");
    changed.mutable_upgrade()->set_minimum_health_capacity(0.5);
    changed.add_health_checks()->set_protocol(wire::CHECK_TCP);
    changed.add_constraints()->set_op(wire::Constraint::UNIQUE);
    changed.set_kill_grace_ms(1000);
    const int64_t config = cluster.apps["/sleep"].config_version_ms();
    const size_t done = cluster.log.size();
    cluster.put(changed);
    CHECK(cluster.apps["/sleep"].config_version_ms() == config);
    CHECK(cluster.apps["/sleep"].version_ms() > config);
    CHECK(cluster.settle() == 1);
    CHECK(std::vector(cluster.log.begin() + static_cast<long>(done), cluster.log.end()) ==
          std::vector<std::string>{"finished d2"});
}

TEST_CASE("what tasks see makes them old; a service port of a bridge and port labels do not") {
    const auto base = Cluster::app(R"({"id": "a", "cmd": "ls", "networks": [{"mode": "container/bridge"}],
        "container": {"docker": {"image": "x"}, "portMappings": [{"containerPort": 80, "servicePort": 10000}]}})");
    auto other = base;
    other.mutable_ports(0)->set_service_port(10001);
    other.mutable_ports(0)->add_labels()->set_key("VIP_0");
    CHECK_FALSE(needs_restart(base, other));
    other.mutable_ports(0)->set_container_port(81);
    CHECK(needs_restart(base, other));
    for (const auto* change :
         {R"({"id": "a", "cmd": "ls -l"})", R"({"id": "a", "cmd": "ls", "env": {"A": "1"}})",
          R"({"id": "a", "cmd": "ls", "mem": 129})", R"({"id": "a", "cmd": "ls", "user": "x"})",
          R"({"id": "a", "cmd": "ls", "ports": [80]})", R"({"id": "a", "args": ["ls"]})",
          R"({"id": "a", "cmd": "ls", "fetch": [{"uri": "http://x"}]})"}) {
        INFO(change);
        CHECK(needs_restart(Cluster::app(R"({"id": "a", "cmd": "ls"})"), Cluster::app(change)));
    }
}

TEST_CASE("a rolling replacement keeps the promised health and the allowed number") {
    struct Case {
        double min_health;
        double over;
        size_t least;
        size_t most;
    };
    const Case given = GENERATE(Case{1, 1, 10, 20}, Case{1, 0.1, 10, 11}, Case{0.5, 0, 5, 10},
                                Case{0.7, 0.2, 7, 12}, Case{0, 0, 0, 10}, Case{1, 0, 10, 11});
    Cluster cluster;
    cluster.add_node("n1", 8);
    auto app = sleeper(10);
    app.mutable_upgrade()->set_minimum_health_capacity(given.min_health);
    app.mutable_upgrade()->set_maximum_over_capacity(given.over);
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    app.set_cmd("sleep 2000");
    cluster.put(app);
    const int64_t config = cluster.apps["/sleep"].config_version_ms();
    for (int i = 0; i < 200 && !cluster.deployments.empty(); ++i) {
        cluster.tick();
        size_t healthy = 0;
        for (const auto* task : cluster.tasks("/sleep"))
            healthy += is_ready(*task, app) && task->desired() == wire::Task::RUN;
        CHECK(healthy >= given.least);
        CHECK(cluster.tasks("/sleep").size() <= given.most);
    }
    CHECK(cluster.deployments.empty());
    REQUIRE(cluster.running("/sleep") == 10);
    for (const auto* task : cluster.tasks("/sleep")) CHECK(task->config_version_ms() == config);
}

TEST_CASE("a restart replaces every task once") {
    Cluster cluster;
    cluster.add_node("n1", 8);
    cluster.put(sleeper(4));
    REQUIRE(cluster.settle() > 0);
    cluster.log.clear();
    cluster.put(sleeper(4), true);
    REQUIRE(cluster.settle() > 0);
    CHECK(std::ranges::count(cluster.log, "launch /sleep on n1") == 4);
    CHECK(std::ranges::count(cluster.log, "kill /sleep on n1: replaced by a newer version") == 4);
}

TEST_CASE(
    "old tasks stay while the new version does not become healthy, and come back to be current by a "
    "rollback") {
    Cluster cluster;
    cluster.add_node("n1", 8);
    auto app = Cluster::app(R"({"id": "/w", "cmd": "v1", "cpus": 0.1, "mem": 16, "instances": 4,
                                "healthChecks": [{"protocol": "TCP"}]})");
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    const wire::AppDefinition good = cluster.apps["/w"];
    std::set<std::string> old_ids;
    for (const auto* task : cluster.tasks("/w")) old_ids.insert(task->id());
    cluster.on_start = [](wire::Task& task) { task.mutable_status()->mutable_health(0)->set_alive(false); };
    app.set_cmd("v2");
    cluster.put(app);
    cluster.run(30);
    CHECK(cluster.deployments.size() == 1);
    CHECK(cluster.tasks("/w").size() == 8);
    Apps before = cluster.apps;
    before["/w"] = rolled_back(good, &cluster.apps["/w"], cluster.now_ms);
    CHECK(before["/w"].config_version_ms() == good.config_version_ms());
    cluster.replace(before);
    REQUIRE(cluster.settle() > 0);
    std::set<std::string> ids;
    for (const auto* task : cluster.tasks("/w")) ids.insert(task->id());
    CHECK(ids == old_ids);
}

TEST_CASE("an update that scales down keeps what there was until the new tasks are ready") {
    Cluster cluster;
    cluster.add_node("n1", 8);
    cluster.put(sleeper(10));
    REQUIRE(cluster.settle() > 0);
    cluster.start_ticks = 5;
    auto app = sleeper(2);
    app.set_cmd("sleep 2000");
    cluster.put(app);
    cluster.run(4);
    CHECK(cluster.running("/sleep") == 10);
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.running("/sleep") == 2);
}

TEST_CASE("readiness gates the deployment, not the health of what runs") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.on_start = [](wire::Task& task) { task.mutable_status()->set_ready(false); };
    cluster.put(Cluster::app(R"({"id": "/a", "cmd": "run", "portDefinitions": [{"name": "http"}],
                                 "readinessChecks": [{"portName": "http"}]})"));
    cluster.run(10);
    CHECK(cluster.deployments.size() == 1);
    for (auto& [id, task] : cluster.task_rows) task.mutable_status()->set_ready(true);
    CHECK(cluster.settle() >= 0);
}

TEST_CASE("apps start after those they depend on, and a held app stays as it was") {
    Cluster cluster;
    cluster.add_node("n1", 8);
    const auto definition = [](const char* id, const char* on, const char* cmd) {
        return Cluster::app(std::string(R"({"cpus": 0.1, "id": ")") + id + R"(", "cmd": ")" + cmd +
                            R"(", "dependencies": [)" + on + "]}");
    };
    cluster.put_all({definition("/web", "\"/api\"", "v1"), definition("/api", "\"/store\"", "v1"),
                     definition("/store/db", "", "v1"), definition("/store/cache", "", "v1")});
    REQUIRE(cluster.settle() > 0);
    std::vector<std::string> launches;
    for (const std::string& line : cluster.log) {
        if (line.starts_with("launch")) launches.push_back(line.substr(7, line.find(" on ") - 7));
    }
    CHECK(launches == std::vector<std::string>{"/store/cache", "/store/db", "/api", "/web"});

    // The database does not come up in its new version: what depends on it stays, and is kept running as it
    // was.
    cluster.on_start = [](wire::Task& task) {
        if (task.app_id() == "/store/db") {
            task.mutable_status()->set_state(wire::TASK_FAILED);
            task.mutable_status()->set_ended_ms(task.staged_ms() + 1000);
        }
    };
    cluster.put_all({definition("/web", "\"/api\"", "v2"), definition("/store/db", "", "v2")});
    cluster.run(10);
    const int64_t old_config = cluster.only("/web").config_version_ms();
    CHECK(old_config < cluster.apps["/web"].config_version_ms());
    CHECK(cluster.last.waiting.at("/web").kind == WhyNot::Kind::kDeployment);
    wire::Task& web = cluster.task_rows[cluster.only("/web").id()];
    web.mutable_status()->set_state(wire::TASK_FAILED);
    web.mutable_status()->set_ended_ms(cluster.now_ms);
    cluster.run(10);
    CHECK(cluster.only("/web").config_version_ms() == old_config);
}

TEST_CASE("failures make the next launch wait longer and longer, and time heals") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    bool fails = true;
    cluster.on_start = [&](wire::Task& task) {
        if (!fails) return;
        task.mutable_status()->set_state(wire::TASK_FAILED);
        task.mutable_status()->set_message("exit 1");
        task.mutable_status()->set_ended_ms(task.staged_ms() + 1000);
    };
    auto app = sleeper(1);
    app.set_backoff_ms(2000);
    app.set_backoff_factor(2);
    app.set_backoff_max_ms(10'000);
    cluster.put(app);
    std::vector<int64_t> waits;
    for (int i = 0; i < 60; ++i) {
        cluster.tick();
        const int64_t delay = cluster.backoffs["/sleep"].delay_ms();
        if (delay > 0 && (waits.empty() || waits.back() != delay)) waits.push_back(delay);
    }
    CHECK(waits == std::vector<int64_t>{2000, 4000, 8000, 10'000});
    CHECK(cluster.backoffs["/sleep"].last_failure().message() == "exit 1");
    const auto waiting = cluster.last.waiting.find("/sleep");
    if (waiting != cluster.last.waiting.end()) CHECK(waiting->second.kind == WhyNot::Kind::kBackoff);
    fails = false;
    REQUIRE(cluster.settle() > 0);
    cluster.run(30);
    CHECK(cluster.backoffs["/sleep"].failures() == 0);
    CHECK(cluster.backoffs["/sleep"].last_failure().message() == "exit 1");
}

TEST_CASE("a new version does not wait for the failures of the old one") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.on_start = [&](wire::Task& task) {
        task.mutable_status()->set_state(wire::TASK_FINISHED);
        task.mutable_status()->set_ended_ms(task.staged_ms() + 1000);
    };
    auto app = sleeper(1);
    app.set_backoff_ms(100'000);
    cluster.put(app);
    cluster.run(5);
    CHECK(cluster.tasks("/sleep").empty());
    cluster.on_start = nullptr;
    app.set_cmd("sleep 1");
    cluster.put(app);
    CHECK(cluster.settle(10) > 0);
}

TEST_CASE("a killed task makes nothing wait; ended tasks are kept for a while and not for ever") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(1));
    REQUIRE(cluster.settle() > 0);
    wire::Task& task = cluster.task_rows[cluster.only("/sleep").id()];
    task.set_desired(wire::Task::KILL);
    task.set_kill_ms(cluster.now_ms);
    cluster.run(5);
    CHECK(cluster.running("/sleep") == 1);
    CHECK(cluster.backoffs.empty());
    CHECK(cluster.tasks("/sleep", true).size() == 1);
    cluster.now_ms += cluster.parameters.ended_kept_ms;
    cluster.run(2);
    CHECK(cluster.tasks("/sleep", true).empty());
}

TEST_CASE("unhealthy tasks are killed few at a time") {
    Cluster cluster;
    cluster.add_node("n1", 8);
    auto app = sleeper(9);
    app.add_health_checks()->set_protocol(wire::CHECK_MESOS_TCP);
    app.mutable_health_checks(0)->set_max_consecutive_failures(3);
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    for (auto& [id, task] : cluster.task_rows) {
        task.mutable_status()->mutable_health(0)->set_alive(false);
        task.mutable_status()->mutable_health(0)->set_consecutive_failures(3);
    }
    cluster.log.clear();
    cluster.tick();
    CHECK(std::ranges::count(cluster.log, "kill /sleep on n1: failed its health checks") == 3);
    cluster.run(40);
    CHECK(cluster.running("/sleep") == 9);
    CHECK(cluster.backoffs["/sleep"].last_failure().message() == "failed its health checks");
}

TEST_CASE("when a check kills: Marathon's own after one failure more than Mesos'") {
    const auto kills = [](wire::CheckProtocol protocol, uint32_t max, uint32_t failures) {
        wire::AppDefinition app;
        app.add_health_checks()->set_protocol(protocol);
        app.mutable_health_checks(0)->set_max_consecutive_failures(max);
        wire::Task task;
        task.mutable_status()->set_state(wire::TASK_RUNNING);
        task.mutable_status()->add_health()->set_consecutive_failures(failures);
        return is_to_be_killed(task, app);
    };
    CHECK_FALSE(kills(wire::CHECK_HTTP, 3, 3));
    CHECK(kills(wire::CHECK_HTTP, 3, 4));
    CHECK_FALSE(kills(wire::CHECK_HTTP, 0, 100));
    CHECK(kills(wire::CHECK_MESOS_HTTP, 3, 3));
    CHECK_FALSE(kills(wire::CHECK_MESOS_HTTP, 0, 0));
    CHECK(kills(wire::CHECK_MESOS_HTTP, 0, 1));
}

TEST_CASE("a deployment that is late has failed, holds nothing and says why; or asks for a rollback") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(2));
    REQUIRE(cluster.settle() > 0);
    const bool roll_back = GENERATE(false, true);
    auto app = sleeper(2);
    app.set_cmd("sleep 2000");
    app.mutable_resources()->set_cpus_milli(100'000);
    app.mutable_upgrade()->set_deadline_ms(10'000);
    app.mutable_upgrade()->set_rollback_on_deadline(roll_back);
    cluster.put(app);
    cluster.tick();
    CHECK(cluster.last.next_ms == cluster.deployments["d2"].deadline_ms());
    cluster.run(12);
    CHECK(cluster.running("/sleep") == 2);
    if (roll_back) {
        CHECK(cluster.log.back() == "roll back d2");
    } else {
        const wire::Deployment& failed = cluster.deployments["d2"];
        CHECK(failed.state() == wire::Deployment::FAILED);
        CHECK(failed.message() == "was not done after 10 s");
        const std::vector<const wire::Deployment*> all = {&failed};
        CHECK(conflicts(all, std::vector<std::string>{"/sleep"}).empty());
    }
}

TEST_CASE("a deployment locks its apps and no others") {
    wire::Deployment deployment;
    deployment.set_id("d");
    deployment.add_affected_apps("/a");
    const std::vector<const wire::Deployment*> all = {&deployment};
    CHECK(conflicts(all, std::vector<std::string>{"/b", "/a"}) == std::vector<std::string>{"d"});
    CHECK(conflicts(all, std::vector<std::string>{"/b"}).empty());
}

TEST_CASE("a change that changes nothing is done at once") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(sleeper(1));
    REQUIRE(cluster.settle() > 0);
    cluster.put(sleeper(1));
    CHECK(cluster.deployments["d2"].steps_size() == 0);
    CHECK(cluster.settle() == 1);
}

TEST_CASE("steps: stop, start, then layer by layer with their actions") {
    const auto definition = [](const char* text, int64_t version) {
        auto app = Cluster::app(text);
        stamp(app, nullptr, version);
        return std::pair(app.id(), app);
    };
    Apps before = {
        definition(R"({"id": "/gone", "cmd": "ls"})", 1), definition(R"({"id": "/scaled", "cmd": "ls"})", 1),
        definition(R"({"id": "/changed", "cmd": "ls"})", 1), definition(R"({"id": "/same", "cmd": "ls"})", 1),
        definition(R"({"id": "/told", "cmd": "ls"})", 1)};
    Apps after = before;
    after.erase("/gone");
    after["/scaled"].set_instances(2);
    after["/changed"].set_cmd("ls -l");
    after["/changed"].add_dependencies("/new");
    after["/told"].add_labels()->set_key("x");
    for (auto& [id, app] : after) stamp(app, &before.at(id), 2);
    after.insert(definition(R"({"id": "/new", "cmd": "ls"})", 2));
    const auto deployment = plan_deployment(before, after, {}, {"d", 2});
    std::string text;
    for (const auto& step : deployment.steps()) {
        text += "|";
        for (const auto& entry : step.entries())
            text += std::to_string(entry.action()) + entry.app_id() + " ";
    }
    CHECK(text == "|2/gone |1/new |3/new 3/scaled 5/told |4/changed ");
    CHECK(deployment.affected_apps_size() == 5);
    CHECK(deployment.before_size() == 4);
}

}  // namespace
}  // namespace smackd::apps
