#include "core/agent_view.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "core/wire/app.pb.h"

using namespace smackd;
using core::for_agents;
using core::NodeId;

namespace {

core::Bytes task_of(uint64_t node) {
    wire::Task task;
    task.set_id("group_app.instance-1._app.1");
    task.set_node_id(node);
    return task.SerializeAsString();
}

}  // namespace

TEST_CASE("agents see the registry, the cluster and the routes") {
    for (const char* kind : {"cluster", "level", "machine", "node", "endpoint"}) {
        INFO(kind);
        const auto seen = for_agents({kind, "key", "row", false, 7});
        REQUIRE(seen);
        CHECK(core::agent_sees(*seen, NodeId{3}));
        CHECK(seen->row.kind() == kind);
        CHECK(seen->row.key() == "key");
        CHECK(seen->row.row() == "row");
        CHECK(seen->row.version() == 7);
        CHECK(std::ranges::contains(core::agent_kinds(), kind));
    }
}

TEST_CASE("no agent sees people, rules, secrets, or a kind that nobody has thought of") {
    for (const char* kind : {"user", "group", "rule", "setting", "token", "principal", "secret", "epoch",
                             "app", "deployment", "", "nodes", "Node", "something of later"}) {
        INFO(kind);
        CHECK_FALSE(for_agents({kind, "key", task_of(3), false, 7}));
        CHECK_FALSE(for_agents({kind, "key", "", true, 7}));
        CHECK_FALSE(std::ranges::contains(core::agent_kinds(), kind));
    }
}

TEST_CASE("a task is seen by its node alone") {
    const auto seen = for_agents({"task", "t1", task_of(3), false, 1});
    REQUIRE(seen);
    CHECK(core::agent_sees(*seen, NodeId{3}));
    CHECK_FALSE(core::agent_sees(*seen, NodeId{4}));
    const auto removed = for_agents({"task", "t1", task_of(3), true, 2});
    REQUIRE(removed);
    CHECK(removed->row.removed());
    CHECK(removed->row.row().empty());
    CHECK_FALSE(core::agent_sees(*removed, NodeId{4}));
    // A removal that does not say whose it was goes to all, without content.
    const auto anyone = for_agents({"task", "t1", "", true, 2});
    REQUIRE(anyone);
    CHECK(core::agent_sees(*anyone, NodeId{4}));
    // A task of no node is for nobody, nor is what is no task.
    CHECK_FALSE(for_agents({"task", "t1", task_of(0), false, 1}));
    CHECK_FALSE(for_agents({"task", "t1", "\xff\xff\xff", false, 1}));
}
