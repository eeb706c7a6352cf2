// Random clusters, apps and misfortunes: what must hold at every step, and that it always converges.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <ranges>

#include "tests/unit/core/apps/cluster.h"

namespace smackd::apps {
namespace {

constexpr int kCases = 60;
constexpr int kTicks = 120;

/// One random life of a cluster with one app.
class Life {
 public:
    explicit Life(uint64_t seed) : cluster_(seed), random_(seed * 7919 + 1) {
        const auto nodes = random_.between(2, 8);
        racks_ = random_.between(1, 3);
        for (uint64_t i = 0; i < nodes; ++i)
            cluster_.add_node("n" + std::to_string(i), 32, {{"rack", std::to_string(i % racks_)}});
        cluster_.start_ticks = static_cast<int>(random_.between(1, 4));
        cluster_.kill_ticks = static_cast<int>(random_.between(1, 4));
        app_ = Cluster::app(R"({"id": "/a", "cmd": "v0", "cpus": 0.1, "mem": 16, "backoffSeconds": 1,
                                "maxLaunchDelaySeconds": 5, "constraints": [["rack", "GROUP_BY"]]})");
        app_.set_instances(static_cast<uint32_t>(random_.between(1, 12)));
        most_ = app_.instances();
        cluster_.put(app_);
    }

    void live() {
        for (int tick = 0; tick < kTicks; ++tick) {
            if (tick < kTicks / 2 && random_.one_in(8)) misfortune();
            cluster_.tick();
            check_limits();
        }
        for (Node& node : cluster_.nodes) node.liveness = Liveness::kAlive;
        REQUIRE(cluster_.settle(400) >= 0);
        cluster_.run(60);
        check_end();
    }

 private:
    void misfortune() {
        switch (random_.below(5)) {
            case 0:
                app_.set_cmd("v" + std::to_string(++version_));
                app_.mutable_upgrade()->set_minimum_health_capacity(static_cast<double>(random_.below(11)) /
                                                                    10);
                app_.mutable_upgrade()->set_maximum_over_capacity(static_cast<double>(random_.below(11)) /
                                                                  10);
                cluster_.put(app_);
                break;
            case 1:
                app_.set_instances(static_cast<uint32_t>(random_.between(0, 12)));
                cluster_.put(app_);
                break;
            case 2:
                fail_one();
                break;
            case 3: {
                Node& node = cluster_.nodes[random_.below(cluster_.nodes.size())];
                const bool up = node.liveness == Liveness::kAlive;
                node.liveness = up ? Liveness::kUnreachable : Liveness::kAlive;
                node.liveness_since_ms = cluster_.now_ms;
                break;
            }
            default:
                cluster_.put(app_, true);
        }
        most_ = std::max(most_, app_.instances());
    }

    void fail_one() {
        const auto tasks = cluster_.tasks("/a");
        if (tasks.empty()) return;
        wire::TaskStatus& status =
            *cluster_.task_rows[tasks[random_.below(tasks.size())]->id()].mutable_status();
        if (status.state() != wire::TASK_RUNNING) return;
        status.set_state(wire::TASK_FAILED);
        status.set_ended_ms(cluster_.now_ms);
    }

    /// Never more than twice the largest number of instances (and the one that gets a stuck replacement
    /// going) on nodes that answer; what comes back with its node is killed in the same round.
    void check_limits() const {
        const auto tasks = cluster_.tasks("/a");
        const auto wanted = static_cast<size_t>(std::ranges::count_if(tasks, [&](const wire::Task* task) {
            return task->desired() == wire::Task::RUN && is_up(*task);
        }));
        CHECK(wanted <= 2 * most_ + 1);
    }
    bool is_up(const wire::Task& task) const {
        return cluster_.nodes[task.node_id() - 1].liveness == Liveness::kAlive;
    }

    void check_end() const {
        const auto tasks = cluster_.tasks("/a");
        CHECK(tasks.size() == app_.instances());
        std::map<uint64_t, uint32_t> groups;
        for (const wire::Task* task : tasks) {
            CHECK(is_ready(*task, app_));
            CHECK(task->config_version_ms() == cluster_.apps.at("/a").config_version_ms());
            ++groups[(task->node_id() - 1) % racks_];
        }
        CHECK(cluster_.last.actions.empty());
    }

    Cluster cluster_;
    core::SeededRandom random_;
    wire::AppDefinition app_;
    uint64_t racks_ = 1;
    uint32_t most_ = 0;
    int version_ = 0;
};

TEST_CASE("an app always comes to be as it is wanted, whatever happens on the way") {
    for (uint64_t seed = 1; seed <= kCases; ++seed) {
        INFO("seed " << seed);
        Life(seed).live();
    }
}

TEST_CASE("GROUP_BY is even within one after every kind of change, while there is room") {
    for (uint64_t seed = 1; seed <= kCases; ++seed) {
        INFO("seed " << seed);
        core::SeededRandom random(seed);
        Cluster cluster(seed);
        const auto racks = random.between(1, 5);
        for (uint64_t i = 0; i < random.between(racks, 12) + racks; ++i)
            cluster.add_node("n" + std::to_string(i), 32, {{"rack", std::to_string(i % racks)}});
        auto app = Cluster::app(
            R"({"id": "/a", "cmd": "v0", "cpus": 0.1, "mem": 16, "constraints": [["rack", "GROUP_BY"]]})");
        for (int change = 0; change < 6; ++change) {
            app.set_instances(static_cast<uint32_t>(random.between(0, 20)));
            if (random.one_in(2)) app.set_cmd("v" + std::to_string(change));
            cluster.put(app);
            REQUIRE(cluster.settle() >= 0);
            std::map<uint64_t, int> groups;
            for (uint64_t rack = 0; rack < racks; ++rack) groups[rack] = 0;
            for (const auto* task : cluster.tasks("/a")) ++groups[(task->node_id() - 1) % racks];
            const auto [least, most] = std::ranges::minmax(groups | std::views::values);
            CHECK(most - least <= 1);
            CHECK(cluster.tasks("/a").size() == app.instances());
        }
    }
}

TEST_CASE("during a replacement the promised health and the allowed number hold for any strategy") {
    for (uint64_t seed = 1; seed <= kCases; ++seed) {
        core::SeededRandom random(seed);
        Cluster cluster(seed);
        cluster.add_node("n1", 64);
        cluster.add_node("n2", 64);
        cluster.start_ticks = static_cast<int>(random.between(1, 5));
        cluster.kill_ticks = static_cast<int>(random.between(1, 5));
        auto app = Cluster::app(R"({"id": "/a", "cmd": "v0", "cpus": 0.1, "mem": 16})");
        const auto instances = static_cast<uint32_t>(random.between(1, 20));
        app.set_instances(instances);
        const double health = static_cast<double>(random.below(21)) / 20;
        const double over = static_cast<double>(random.below(21)) / 20;
        app.mutable_upgrade()->set_minimum_health_capacity(health);
        app.mutable_upgrade()->set_maximum_over_capacity(over);
        cluster.put(app);
        REQUIRE(cluster.settle() >= 0);
        app.set_cmd("v1");
        cluster.put(app);
        const auto least = static_cast<size_t>(std::ceil(instances * health - 1e-6));
        const auto most = std::max<size_t>(static_cast<size_t>(std::floor(instances * (1 + over) + 1e-6)),
                                           std::max<size_t>(instances, least + 1));
        INFO("seed " << seed << " instances " << instances << " health " << health << " over " << over);
        for (int i = 0; i < 400 && !cluster.deployments.empty(); ++i) {
            cluster.tick();
            const auto tasks = cluster.tasks("/a");
            const auto ready = static_cast<size_t>(std::ranges::count_if(tasks, [&](const wire::Task* task) {
                return is_ready(*task, app) && task->desired() == wire::Task::RUN;
            }));
            CHECK(ready >= least);
            CHECK(tasks.size() <= most);
        }
        CHECK(cluster.deployments.empty());
    }
}

}  // namespace
}  // namespace smackd::apps
