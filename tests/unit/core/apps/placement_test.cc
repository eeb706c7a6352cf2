// Stories of placement: resources, ports, roles, constraints, and why nothing fits.
#include "core/apps/placement.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <tuple>

#include "tests/unit/core/apps/cluster.h"

namespace smackd::apps {
namespace {

using Counts = std::map<std::string, uint32_t>;

wire::AppDefinition small(uint32_t instances, std::vector<std::vector<std::string>> constraints = {}) {
    wire::AppDefinition app = Cluster::app(R"({"id": "/a", "cmd": "run", "cpus": 0.1, "mem": 16})");
    app.set_instances(instances);
    for (const auto& parts : constraints) {
        std::string text;
        for (const std::string& part : parts) text += (text.empty() ? "[\"" : "\",\"") + part;
        const auto one = Cluster::app(R"({"id": "/x", "cmd": "run", "constraints": [)" + text + "\"]]}");
        *app.add_constraints() = one.constraints(0);
    }
    return app;
}

/// Six nodes in three racks, two of which are in zone z1.
Cluster racks() {
    Cluster cluster;
    for (int i = 0; i < 6; ++i) {
        const std::string rack(1, static_cast<char>('a' + i / 2));
        Node& node =
            cluster.add_node("n" + std::to_string(i + 1), 4, {{"rack", rack}, {"disks", std::to_string(i)}});
        node.zone = i < 4 ? "z1" : "z2";
    }
    return cluster;
}

Counts placed(Cluster cluster, const wire::AppDefinition& app) {
    cluster.put(app);
    cluster.run(5);
    return cluster.per_machine("/a");
}

WhyNot why(Cluster& cluster, const wire::AppDefinition& app) {
    cluster.put(app);
    cluster.run(5);
    REQUIRE(cluster.last.waiting.contains(app.id()));
    return cluster.last.waiting.at(app.id());
}

TEST_CASE("UNIQUE: one per value, and no more") {
    CHECK(placed(racks(), small(9, {{"hostname", "UNIQUE"}})).size() == 6);
    CHECK(placed(racks(), small(9, {{"rack", "UNIQUE"}})).size() == 3);
    Cluster cluster = racks();
    const WhyNot reason = why(cluster, small(9, {{"rack", "UNIQUE"}}));
    CHECK(reason.missing == 6);
    CHECK(reason.counts.at(Reason::kUnfulfilledConstraint) == 6);
    CHECK(reason.nodes[0].text == "does not fulfil rack UNIQUE");
    CHECK(reason.text == "none of 6 nodes fits: 6 UnfulfilledConstraint");
}

TEST_CASE("CLUSTER: all with one value, given or the first one's") {
    const Counts given = placed(racks(), small(4, {{"rack", "CLUSTER", "b"}}));
    CHECK(given == Counts{{"n3", 2}, {"n4", 2}});
    CHECK(placed(racks(), small(6, {{"@zone", "CLUSTER"}})).size() == 4);
    CHECK(placed(racks(), small(6, {{"hostname", "CLUSTER"}})).size() == 1);
    CHECK(placed(racks(), small(1, {{"rack", "CLUSTER", "none"}})).empty());
}

TEST_CASE("LIKE, UNLIKE and IS") {
    CHECK(placed(racks(), small(6, {{"rack", "LIKE", "[ab]"}})).size() == 4);
    CHECK(placed(racks(), small(6, {{"rack", "UNLIKE", "[ab]"}})).size() == 2);
    CHECK(placed(racks(), small(6, {{"hostname", "LIKE", "n"}})).empty());
    CHECK(placed(racks(), small(6, {{"missing", "LIKE", ".*"}})).empty());
    CHECK(placed(racks(), small(6, {{"missing", "UNLIKE", "x"}})).size() == 6);
    CHECK(placed(racks(), small(6, {{"disks", "IS", "3.0001"}})) == Counts{{"n4", 6}});
    CHECK(is_equal_value("0.8001", "0.8"));
    CHECK_FALSE(is_equal_value("0.801", "0.8"));
    CHECK_FALSE(is_equal_value("a", "b"));
    CHECK_FALSE(is_equal_value("1x", "1"));
}

TEST_CASE("MAX_PER: so many of a value") {
    const Counts counts = placed(racks(), small(20, {{"rack", "MAX_PER", "2"}}));
    CHECK(counts == Counts{{"n1", 1}, {"n2", 1}, {"n3", 1}, {"n4", 1}, {"n5", 1}, {"n6", 1}});
    CHECK(placed(racks(), small(20, {{"hostname", "MAX_PER", "3"}})).at("n1") == 3);
}

TEST_CASE("GROUP_BY: groups of all nodes, even within one, at most as many as asked for") {
    Cluster cluster = racks();
    // Rack c has one node only.
    cluster.nodes[5].liveness = Liveness::kUnreachable;
    const Counts counts = placed(cluster, small(9, {{"rack", "GROUP_BY"}}));
    CHECK(counts.at("n5") == 3);
    CHECK(counts.at("n1") + counts.at("n2") == 3);
    CHECK(placed(racks(), small(6, {{"rack", "GROUP_BY", "2"}})).size() == 4);
    CHECK(placed(racks(), small(9, {{"rack", "GROUP_BY"}, {"@zone", "IS", "z1"}})).size() == 4);
}

TEST_CASE("GROUP_BY does not stall when one group is full, and scaling down keeps it even") {
    Cluster cluster = racks();
    for (const size_t i : {4U, 5U}) cluster.nodes[i].total.set_cpus_milli(100);
    cluster.put(small(12, {{"rack", "GROUP_BY"}}));
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.per_machine("/a").at("n5") == 1);
    cluster.put(small(6, {{"rack", "GROUP_BY"}}));
    REQUIRE(cluster.settle() > 0);
    const Counts counts = cluster.per_machine("/a");
    CHECK(counts.at("n1") + counts.at("n2") == 2);
    CHECK(counts.at("n3") + counts.at("n4") == 2);
}

TEST_CASE("resources are those of all tasks that have not ended") {
    Cluster cluster;
    cluster.add_node("n1", 2);
    auto app = small(5);
    app.mutable_resources()->set_cpus_milli(500);
    const WhyNot reason = why(cluster, app);
    CHECK(cluster.running("/a") == 4);
    CHECK(reason.counts.at(Reason::kInsufficientCpus) == 1);
    CHECK(reason.nodes[0].text == "needs 0.5 cpus, 0 of 2 are free");
    CHECK(reason.missing == 1);
    // A smaller one still fits into what is left of the memory, but not of the cpu.
    CHECK(why(cluster, Cluster::app(R"({"id": "/b", "cmd": "run", "cpus": 0.1, "mem": 1})")).counts.size() ==
          1);
}

TEST_CASE("each resource has its reason") {
    Cluster cluster;
    cluster.add_node("n1", 2);
    const auto reason = [&](const char* text) {
        return why(cluster, Cluster::app(text)).counts.begin()->first;
    };
    CHECK(reason(R"({"id": "/m", "cmd": "run", "mem": 4096})") == Reason::kInsufficientMemory);
    CHECK(reason(R"({"id": "/d", "cmd": "run", "disk": 4096})") == Reason::kInsufficientDisk);
    CHECK(reason(R"({"id": "/g", "cmd": "run", "gpus": 1})") == Reason::kInsufficientGpus);
    CHECK(reason(R"({"id": "/p", "cmd": "run", "ports": [80], "requirePorts": true})") ==
          Reason::kInsufficientPorts);
    CHECK(reason(R"({"id": "/r", "cmd": "run", "acceptedResourceRoles": ["slave_public"]})") ==
          Reason::kUnfulfilledRole);
    cluster.nodes[0].draining = true;
    CHECK(reason(R"({"id": "/x", "cmd": "run"})") == Reason::kNodeDraining);
    cluster.nodes[0].draining = false;
    cluster.nodes[0].host_network = false;
    CHECK(reason(R"({"id": "/h", "cmd": "run"})") == Reason::kHostNetworkRefused);
    cluster.nodes[0].liveness = Liveness::kSuspect;
    CHECK(reason(R"({"id": "/s", "cmd": "run"})") == Reason::kNodeUnreachable);
    cluster.nodes.clear();
    CHECK(why(cluster, Cluster::app(R"({"id": "/n", "cmd": "run"})")).text == "there are no nodes");
}

TEST_CASE(
    "ports: required ones exactly once per node, published ones of a bridge, none for a task's own address") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    auto fixed = Cluster::app(
        R"({"id": "/f", "cmd": "run", "cpus": 0.1, "instances": 3, "ports": [8080], "requirePorts": true})");
    CHECK(why(cluster, fixed).missing == 1);
    CHECK(cluster.per_machine("/f") == Counts{{"n1", 1}, {"n2", 1}});
    for (const auto* task : cluster.tasks("/f")) CHECK(task->host_ports(0) == 8080);
    cluster.put(Cluster::app(
        R"({"id": "/b", "cpus": 0.1, "networks": [{"mode": "container/bridge"}], "container": {"docker":
        {"image": "x"}, "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 9000}]}})"));
    cluster.run(3);
    CHECK(cluster.only("/b").host_ports(0) >= kHostPorts.first);
    CHECK(cluster.only("/b").host_ports(1) == 9000);
    cluster.put(Cluster::app(
        R"({"id": "/c", "cmd": "run", "cpus": 0.1, "networks": [{"name": "n"}], "container": {"type": "MESOS",
        "portMappings": [{"containerPort": 80}]}})"));
    cluster.run(3);
    CHECK(cluster.only("/c").host_ports(0) == 0);
}

TEST_CASE("the pool of ports runs out without a port given twice") {
    Cluster cluster;
    cluster.add_node("n1", 100).ports = {{31000, 31003}, {31010, 31011}};
    auto app =
        Cluster::app(R"({"id": "/a", "cmd": "run", "cpus": 0.1, "mem": 1, "instances": 4, "ports": [0, 0]})");
    CHECK(why(cluster, app).missing == 1);
    std::set<uint32_t> ports;
    for (const auto* task : cluster.tasks("/a"))
        ports.insert(task->host_ports().begin(), task->host_ports().end());
    CHECK(ports == std::set<uint32_t>{31000, 31001, 31002, 31003, 31010, 31011});
}

TEST_CASE("roles: public nodes are for those that ask") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("pub", 4).roles = {"slave_public"};
    auto app = small(4);
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.per_machine("/a") == Counts{{"n1", 4}});
    app.add_accepted_roles("slave_public");
    app.set_cmd("again");
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.per_machine("/a") == Counts{{"pub", 4}});
    CHECK(cluster.tasks("/a")[0]->role() == "slave_public");
}

// ---- nodes that go ----

TEST_CASE("tasks of a node that does not answer are replaced, and the node's own is forgotten") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    cluster.add_node("n3", 4);
    cluster.put(small(3));
    REQUIRE(cluster.settle() > 0);
    cluster.nodes[0].liveness = Liveness::kUnreachable;
    cluster.nodes[0].liveness_since_ms = cluster.now_ms;
    cluster.run(4);
    CHECK(cluster.running("/a") == 3);
    CHECK_FALSE(cluster.per_machine("/a").contains("n1"));
    CHECK(cluster.backoffs.empty());
}

TEST_CASE("the unreachable strategy: wait, replace, forget; and a node that returns in between") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    cluster.add_node("n3", 4);
    auto app = small(3);
    app.mutable_unreachable()->set_inactive_after_ms(10'000);
    app.mutable_unreachable()->set_expunge_after_ms(60'000);
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    cluster.nodes[0].liveness = Liveness::kUnreachable;
    cluster.nodes[0].liveness_since_ms = cluster.now_ms;
    cluster.run(8);
    CHECK(cluster.tasks("/a").size() == 3);
    CHECK(std::ranges::count(cluster.log, "status /a its node does not answer") == 1);
    cluster.run(5);
    CHECK(cluster.tasks("/a").size() == 4);
    CHECK(cluster.running("/a") == 3);
    SECTION("it comes back: one too many, which is killed") {
        cluster.nodes[0].liveness = Liveness::kAlive;
        cluster.run(5);
        CHECK(cluster.running("/a") == 3);
        CHECK(cluster.tasks("/a").size() == 3);
    }
    SECTION("it does not") {
        cluster.run(60);
        CHECK(cluster.tasks("/a").size() == 3);
        CHECK_FALSE(cluster.per_machine("/a").contains("n1"));
    }
}

TEST_CASE("disabled: nothing is replaced as long as the node may come back, but a removed node's tasks are") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    auto app = small(2);
    app.mutable_unreachable()->set_disabled(true);
    cluster.put(app);
    REQUIRE(cluster.settle() > 0);
    cluster.nodes[0].liveness = Liveness::kUnreachable;
    cluster.nodes[0].liveness_since_ms = cluster.now_ms;
    cluster.run(100);
    CHECK(cluster.tasks("/a").size() == 2);
    cluster.nodes[0].liveness = Liveness::kGone;
    cluster.run(3);
    CHECK(cluster.per_machine("/a") == Counts{{"n2", 2}});
}

TEST_CASE("when most nodes are lost at once nothing is replaced") {
    Cluster cluster;
    for (const auto* name : {"n1", "n2", "n3", "n4"}) cluster.add_node(name, 4);
    cluster.put(small(4));
    REQUIRE(cluster.settle() > 0);
    for (const size_t i : {0U, 1U, 2U}) {
        cluster.nodes[i].liveness = Liveness::kUnreachable;
        cluster.nodes[i].liveness_since_ms = cluster.now_ms;
    }
    cluster.run(10);
    CHECK(cluster.tasks("/a").size() == 4);
    CHECK(cluster.log.back() == "hold");
    for (const size_t i : {0U, 1U}) cluster.nodes[i].liveness = Liveness::kAlive;
    cluster.run(10);
    CHECK(cluster.running("/a") == 4);
}

void lose(Cluster& cluster, std::initializer_list<size_t> nodes) {
    for (const size_t i : nodes) {
        cluster.nodes[i].liveness = Liveness::kUnreachable;
        cluster.nodes[i].liveness_since_ms = cluster.now_ms;
    }
}

TEST_CASE("how many nodes lost at once hold replacement is a share of the cluster, and one never does") {
    Cluster cluster;
    SECTION("one of two") {
        for (const auto* name : {"n1", "n2"}) cluster.add_node(name, 4);
        cluster.put(small(4));
        REQUIRE(cluster.settle() > 0);
        lose(cluster, {0});
        cluster.run(10);
        CHECK(cluster.per_machine("/a") == Counts{{"n2", 4}});
    }
    SECTION("two of five, until one is removed") {
        for (const auto* name : {"n1", "n2", "n3", "n4", "n5"}) cluster.add_node(name, 4);
        cluster.put(small(5));
        REQUIRE(cluster.settle() > 0);
        lose(cluster, {0, 1});
        cluster.run(10);
        CHECK(cluster.running("/a") == 3);
        CHECK(outage_of(cluster.nodes, kHoldPercent)
                  .text()
                  .starts_with("2 of 5 nodes are unreachable at once (n1, n2): nothing of them is replaced"));
        cluster.nodes.erase(cluster.nodes.begin());
        cluster.run(10);
        CHECK(cluster.running("/a") == 5);
        CHECK(!outage_of(cluster.nodes, kHoldPercent).holds);
    }
    SECTION("two of five, of which one is not known to be dead yet") {
        for (const auto* name : {"n1", "n2", "n3", "n4", "n5"}) cluster.add_node(name, 4);
        cluster.put(small(5));
        REQUIRE(cluster.settle() > 0);
        lose(cluster, {0});
        cluster.nodes[1].liveness = Liveness::kSuspect;
        cluster.run(3);
        CHECK(cluster.tasks("/a").size() == 5);
        CHECK(!outage_of(cluster.nodes, kHoldPercent).certain);
        cluster.nodes[1].liveness = Liveness::kAlive;
        cluster.run(10);
        CHECK(cluster.running("/a") == 5);
        CHECK(cluster.per_machine("/a").count("n1") == 0);
    }
    SECTION("two of five, if the cluster says so") {
        for (const auto* name : {"n1", "n2", "n3", "n4", "n5"}) cluster.add_node(name, 4);
        cluster.parameters.hold_percent = 40;
        cluster.put(small(5));
        REQUIRE(cluster.settle() > 0);
        lose(cluster, {0, 1});
        cluster.run(10);
        CHECK(cluster.running("/a") == 5);
    }
    SECTION("one after the other") {
        for (const auto* name : {"n1", "n2", "n3", "n4", "n5"}) cluster.add_node(name, 4);
        cluster.put(small(5));
        REQUIRE(cluster.settle() > 0);
        lose(cluster, {0});
        cluster.run(static_cast<int>(kLostTogetherMs / 1000) + 1);
        lose(cluster, {1});
        cluster.run(10);
        CHECK(cluster.running("/a") == 5);
    }
}

TEST_CASE("tasks of a dead node are replaced at a limited rate, whatever else starts") {
    Cluster cluster;
    for (const auto* name : {"n1", "n2", "n3"}) cluster.add_node(name, 64);
    cluster.parameters.replacements_per_s = 5;
    cluster.put(small(60));
    REQUIRE(cluster.settle() > 0);
    const size_t lost = cluster.per_machine("/a")["n1"];
    REQUIRE(lost == 20);
    lose(cluster, {0});
    cluster.tick();
    size_t before = cluster.running("/a");
    CHECK(before <= 45);
    for (int second = 1; second <= 3; ++second) {
        cluster.tick();
        const size_t now = cluster.running("/a");
        CHECK(now <= before + 5);
        before = now;
    }
    cluster.run(10);
    CHECK(cluster.running("/a") == 60);
    CHECK(cluster.per_machine("/a") == Counts{{"n2", 30}, {"n3", 30}});
}

TEST_CASE("a task with a lease has no substitute before its lease is over") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    cluster.put(
        Cluster::app(R"({"id": "/one", "cmd": "run", "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"},
        "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}})"));
    REQUIRE(cluster.settle() > 0);
    CHECK(cluster.only("/one").lease_generation() > 0);
    Node& node = *std::ranges::find(cluster.nodes, cluster.only("/one").machine(), &Node::machine);
    node.liveness = Liveness::kUnreachable;
    node.liveness_since_ms = cluster.now_ms;
    cluster.run(14);
    CHECK(cluster.running("/one") == 0);
    cluster.run(6);
    CHECK(cluster.running("/one") == 1);
}

TEST_CASE("a node that is drained loses its tasks one by one, each after its substitute is ready") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.add_node("n2", 4);
    cluster.put(small(6));
    REQUIRE(cluster.settle() > 0);
    cluster.nodes[0].draining = true;
    for (int i = 0; i < 30; ++i) {
        cluster.tick();
        CHECK(cluster.running("/a") >= 6);
    }
    CHECK(cluster.per_machine("/a") == Counts{{"n2", 6}});
}

TEST_CASE("past the drain's deadline what is there still is stopped, wherever its substitute may go") {
    Cluster cluster;
    cluster.add_node("n1", 4);
    cluster.put(small(3));
    REQUIRE(cluster.settle() > 0);
    cluster.nodes[0].draining = true;
    cluster.run(10);
    CHECK(cluster.running("/a") == 3);  // there is no other node
    cluster.nodes[0].drain_is_over = true;
    cluster.run(3);
    CHECK(cluster.running("/a") == 0);
}

TEST_CASE("a drain begins, has a deadline and ends by its times, and says when to look again") {
    wire::DrainNode drain;
    drain.set_start_ms(1000);
    const auto at = [&](int64_t now_ms) {
        Node node;
        set_drain(node, drain, now_ms);
        return std::tuple(node.draining, node.drain_is_over, node.drain_changes_ms);
    };
    CHECK(at(999) == std::tuple(false, false, 1000));
    CHECK(at(1000) == std::tuple(true, false, 0));
    drain.set_deadline_ms(50);
    CHECK(at(1049) == std::tuple(true, false, 1050));
    CHECK(at(1050) == std::tuple(true, true, 0));
    drain.set_length_ms(20);  // before the deadline
    CHECK(at(1019) == std::tuple(true, false, 1020));
    CHECK(at(1020) == std::tuple(false, false, 0));
    drain.set_length_ms(70);
    CHECK(at(1049) == std::tuple(true, false, 1050));
    CHECK(at(1060) == std::tuple(true, true, 1070));
    CHECK(at(1070) == std::tuple(false, false, 0));
}

TEST_CASE("a task with volumes comes back where they are, as the same instance") {
    Cluster cluster;
    for (const auto* name : {"n1", "n2", "n3"}) cluster.add_node(name, 4);
    cluster.put(Cluster::app(
        R"({"id": "/db", "cmd": "run", "instances": 2, "cpus": 0.1, "container": {"type": "MESOS",
        "volumes": [{"containerPath": "data", "mode": "RW", "persistent": {"size": 10}}]}})"));
    REQUIRE(cluster.settle() > 0);
    std::map<std::string, std::string> where;
    for (const auto* task : cluster.tasks("/db")) {
        where[task->instance_id()] = task->machine();
        CHECK(task->volumes(0).persistence_id() == task->instance_id() + "#data");
    }
    for (auto& [id, task] : cluster.task_rows) {
        task.mutable_status()->set_state(wire::TASK_FAILED);
        task.mutable_status()->set_ended_ms(cluster.now_ms);
    }
    cluster.run(10);
    std::map<std::string, std::string> after;
    for (const auto* task : cluster.tasks("/db")) {
        after[task->instance_id()] = task->machine();
        CHECK(task->id().ends_with("._app.2"));
    }
    CHECK(after == where);
}

TEST_CASE("a series places as one task after the other would be placed") {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        core::SeededRandom random(seed);
        Cluster cluster;
        for (int i = 0; i < 12; ++i) {
            Node& node = cluster.add_node("n" + std::to_string(i), random.between(1, 4));
            node.draining = random.one_in(6);
        }
        wire::AppDefinition app = small(1);
        if (random.one_in(2)) app = small(1, {{"hostname", "MAX_PER", "3"}});
        Placement one_by_one(cluster.nodes, {});
        Placement together(cluster.nodes, {});
        Constraints first(app);
        Constraints second(app);
        Placement::Series series(together, app, second);
        core::SeededRandom left(seed);
        core::SeededRandom right(seed);
        for (int i = 0; i < 400; ++i) {
            const core::NodeId only = random.one_in(10) ? cluster.nodes[random.below(12)].id : core::NodeId{};
            const auto expected = Placement::Series(one_by_one, app, first).place(left, only);
            const auto found = series.place(right, only);
            REQUIRE(expected.has_value() == found.has_value());
            if (!found) continue;
            REQUIRE(found->node == expected->node);
            REQUIRE(found->host_ports == expected->host_ports);
        }
    }
}

TEST_CASE("ten thousand launches on five hundred nodes are one decision") {
    Cluster cluster;
    for (int i = 0; i < 500; ++i) cluster.add_node("n" + std::to_string(i), 32);
    cluster.parameters.launches_max = 10'000;
    wire::AppDefinition app = Cluster::app(R"({"id": "/a", "cmd": "run", "cpus": 0.1, "mem": 16})");
    app.set_instances(10'000);
    cluster.put(app);
    cluster.tick();
    CHECK(cluster.task_rows.size() == 10'000);
    for (const auto& [machine, count] : cluster.per_machine("/a")) CHECK(count == 20);
}

}  // namespace
}  // namespace smackd::apps
