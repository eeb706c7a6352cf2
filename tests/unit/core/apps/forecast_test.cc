// What a forecast says is what then happens, on the cluster that plays the nodes.
#include "core/apps/forecast.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/core/apps/cluster.h"

namespace smackd::apps {
namespace {

View view_of(const Cluster& cluster) {
    View view;
    for (const auto& [id, app] : cluster.apps) view.apps.push_back(&app);
    for (const auto& [id, task] : cluster.task_rows) view.tasks.push_back(&task);
    for (const auto& [id, deployment] : cluster.deployments) view.deployments.push_back(&deployment);
    for (const auto& [id, backoff] : cluster.backoffs) view.backoffs.push_back(&backoff);
    view.nodes = cluster.nodes;
    return view;
}

Forecast foresee(const Cluster& cluster, const std::string& id = "/a") {
    return forecast(view_of(cluster), {}, cluster.now_ms, id);
}

std::map<std::string, uint32_t> then(const Forecast& result) {
    std::map<std::string, uint32_t> counts;
    for (const auto& [machine, share] : result.nodes) {
        if (share.then > 0) counts[machine] = share.then;
    }
    return counts;
}

Cluster nodes(int count, uint64_t cpus = 2) {
    Cluster cluster;
    for (int i = 1; i <= count; ++i) cluster.add_node("n" + std::to_string(i), cpus);
    return cluster;
}

wire::AppDefinition app(int instances, const std::string& more = "") {
    return Cluster::app(R"({"id": "/a", "cmd": "run", "cpus": 1, "mem": 16, "instances": )" +
                        std::to_string(instances) + more + "}");
}

TEST_CASE("a new app: the nodes that it then runs on") {
    Cluster cluster = nodes(3);
    cluster.put(app(4));
    const Forecast result = foresee(cluster);
    CHECK(result.complete);
    CHECK(result.started == 4);
    CHECK(result.kept == 0);
    CHECK_FALSE(result.waiting);
    REQUIRE(cluster.settle() >= 0);
    CHECK(then(result) == cluster.per_machine("/a"));
}

TEST_CASE("what finds no place, node by node") {
    Cluster cluster = nodes(2);
    cluster.put(app(7));
    const Forecast result = foresee(cluster);
    CHECK(result.complete);
    CHECK(result.started == 4);
    REQUIRE(result.waiting);
    CHECK(result.waiting->missing == 3);
    CHECK(result.waiting->counts == std::map<Reason, uint32_t>{{Reason::kInsufficientCpus, 2}});
    REQUIRE(result.waiting->nodes.size() == 2);
    CHECK(result.waiting->nodes[0].text == "needs 1 cpus, 0 of 2 are free");
}

TEST_CASE("a rolling replacement is foreseen to its end, on full nodes too") {
    Cluster cluster = nodes(2);
    cluster.put(app(4));
    REQUIRE(cluster.settle() >= 0);
    wire::AppDefinition changed = app(4, R"(, "upgradeStrategy": {"minimumHealthCapacity": 0.5},
        "healthChecks": [{"protocol": "TCP"}])");
    changed.set_cmd("run more");
    cluster.put(changed);
    const Forecast result = foresee(cluster);
    CHECK(result.complete);
    CHECK(result.stopped == 4);
    CHECK(result.started == 4);
    CHECK_FALSE(result.waiting);
    CHECK(result.nodes.at("n1").now == 2);
    REQUIRE(cluster.settle() >= 0);
    CHECK(then(result) == cluster.per_machine("/a"));
}

TEST_CASE("described changes and scaling leave tasks where they are") {
    Cluster cluster = nodes(2);
    cluster.put(app(2));
    REQUIRE(cluster.settle() >= 0);
    cluster.put(app(2, R"(, "labels": {"x": "y"})"));
    Forecast result = foresee(cluster);
    CHECK(result.kept == 2);
    CHECK(result.started + result.stopped == 0);
    cluster.settle();
    cluster.put(app(1));
    result = foresee(cluster);
    CHECK(result.kept == 1);
    CHECK(result.stopped == 1);
}

TEST_CASE("waiting after failures, and on nodes that do not answer") {
    Cluster cluster = nodes(2);
    cluster.put(app(1));
    cluster.settle();
    wire::AppBackoff& backoff = cluster.backoffs["/a"];
    backoff.set_app_id("/a");
    backoff.set_config_version_ms(cluster.apps["/a"].config_version_ms());
    backoff.set_until_ms(cluster.now_ms + 60'000);
    backoff.set_delay_ms(60'000);
    backoff.set_failures(3);
    cluster.task_rows.clear();
    Forecast result = foresee(cluster);
    REQUIRE(result.waiting);
    CHECK(result.waiting->kind == WhyNot::Kind::kBackoff);
    cluster.backoffs.clear();
    for (Node& node : cluster.nodes) node.liveness = Liveness::kSuspect;
    result = foresee(cluster);
    REQUIRE(result.waiting);
    CHECK(result.waiting->counts.at(Reason::kNodeUnreachable) == 2);
}

TEST_CASE("whatever the cluster: what is foreseen of a new app is what comes") {
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        core::SeededRandom random(seed);
        Cluster cluster(seed + 1000);
        const auto count = static_cast<int>(1 + random.below(8));
        for (int i = 1; i <= count; ++i) {
            Node& node = cluster.add_node("n" + std::to_string(i), 1 + random.below(4));
            node.zone = "z" + std::to_string(random.below(3));
            node.draining = random.below(10) == 0;
            if (random.below(10) == 0) node.liveness = Liveness::kSuspect;
        }
        const std::vector<std::string> more = {"", R"(, "constraints": [["hostname", "UNIQUE"]])",
                                               R"(, "constraints": [["@zone", "GROUP_BY"]])",
                                               R"(, "constraints": [["@zone", "CLUSTER"]])",
                                               R"(, "constraints": [["hostname", "MAX_PER", "2"]])"};
        cluster.put(
            Cluster::app(R"({"id": "/before", "cmd": "run", "cpus": 0.5, "mem": 16, "instances": 3})"));
        cluster.run(5);
        cluster.put(app(static_cast<int>(1 + random.below(12)), more[random.below(more.size())]));
        const Forecast result = foresee(cluster);
        cluster.run(10);
        INFO(seed);
        CHECK(result.complete);
        CHECK(then(result) == cluster.per_machine("/a"));
        CHECK(result.waiting.has_value() == cluster.last.waiting.contains("/a"));
        if (result.waiting) CHECK(result.waiting->text == cluster.last.waiting["/a"].text);
    }
}

TEST_CASE("a forecast ends although there is too much to foresee") {
    Cluster cluster = nodes(40, 1000);
    cluster.put(app(39'000));
    const Forecast result = foresee(cluster);
    CHECK_FALSE(result.complete);
    CHECK(result.started > 0);
}

TEST_CASE("a forecast changes nothing of what it looks at") {
    Cluster cluster = nodes(2);
    cluster.put(app(2));
    const std::string before = cluster.deployments.begin()->second.SerializeAsString();
    foresee(cluster);
    CHECK(cluster.task_rows.empty());
    CHECK(cluster.deployments.begin()->second.SerializeAsString() == before);
}

}  // namespace
}  // namespace smackd::apps
