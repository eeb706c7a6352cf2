// /smack/v1/nodes: what a node has for tasks, what they reserve, and how many it has had.
#include "storage/state/limits.h"
#include "tests/unit/services/api/world.h"

using namespace smackd;
using core::Json;
using test::Answer;
using test::ApiWorld;

namespace {

constexpr int64_t kNowMs = 1'800'000'000'000;  // of the world's clock

void apply(ApiWorld& world, wire::Change change) {
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfApps);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    *command.add_changes() = std::move(change);
    const auto result = world.state->apply(std::move(command));
    INFO(result.message());
    REQUIRE(result.code() == 0);
}

void add_node(ApiWorld& world, uint64_t id, const std::string& machine, uint64_t cpus) {
    REQUIRE(world.as("admin", "PUT", "/smack/v1/machines/" + machine, R"({"roles": ["server"]})").status ==
            200);
    wire::Change node;
    node.mutable_put_node()->set_node_id(id);
    node.mutable_put_node()->set_machine(machine);
    node.mutable_put_node()->set_address("127.0.0.1:" + std::to_string(6000 + id));
    apply(world, std::move(node));
    if (cpus == 0) return;
    wire::Change room;
    auto& capacity = *room.mutable_put_node_capacity()->mutable_capacity();
    capacity.set_node_id(id);
    capacity.mutable_total()->set_cpus_milli(cpus * 1000);
    capacity.mutable_total()->set_memory_bytes(1 << 30);
    capacity.mutable_total()->set_disk_bytes(1 << 30);
    apply(world, std::move(room));
}

void add_task(ApiWorld& world, const std::string& app, uint64_t node, int64_t staged_ms) {
    wire::Change change;
    wire::Task& task = *change.mutable_put_task()->mutable_task();
    const std::string instance =
        app.substr(1) + ".instance-00000000-0000-4000-8000-00000000000" + std::to_string(node);
    task.set_id(instance + "._app.1");
    task.set_instance_id(instance);
    task.set_app_id(app);
    task.set_node_id(node);
    task.set_machine("m" + std::to_string(node));
    task.mutable_resources()->set_cpus_milli(500);
    task.mutable_resources()->set_memory_bytes(32 << 20);
    task.set_staged_ms(staged_ms);
    apply(world, std::move(change));
}

Json node_of(ApiWorld& world, const std::string& id) {
    const Answer answer = world.as("admin", "GET", "/smack/v1/nodes");
    REQUIRE(answer.status == 200);
    const Json json = answer.json();
    for (const Json& node : json["nodes"].as_array()) {
        if (node["id"].as_string() == id) return node;
    }
    return {};
}

}  // namespace

TEST_CASE("what a node has for tasks, and what they reserve of it") {
    ApiWorld world;
    add_node(world, 2, "m2", 4);
    add_node(world, 3, "m3", 0);
    REQUIRE(
        world.as("admin", "POST", "/v2/apps", R"({"id": "/web", "cmd": "sleep 1", "cpus": 0.5})").status ==
        201);
    add_task(world, "/web", 2, kNowMs);
    const Json node = node_of(world, "2");
    CHECK(node["capacity"]["cpus"].as_number() == 4);
    CHECK(node["capacity"]["memory_bytes"].as_integer() == 1 << 30);
    CHECK(node["reserved"]["cpus"].as_number() == 0.5);
    CHECK(node["reserved"]["memory_bytes"].as_integer() == 32 << 20);
    CHECK(node["tasks"].as_integer() == 1);
    CHECK(node_of(world, "3").find("capacity") == nullptr);
    CHECK_FALSE(node_of(world, "3").is_null());
}

TEST_CASE(
    "of a node that does not measure itself here: its tasks, every ten seconds of the last ten minutes") {
    ApiWorld world;
    add_node(world, 2, "m2", 4);
    REQUIRE(
        world.as("admin", "POST", "/v2/apps", R"({"id": "/web", "cmd": "sleep 1", "cpus": 0.5})").status ==
        201);
    add_task(world, "/web", 2, kNowMs - 95'000);
    const Json usage = world.as("admin", "GET", "/smack/v1/nodes/2/usage").json();
    CHECK_FALSE(usage["measured"].as_bool(true));
    const auto& samples = usage["samples"].as_array();
    REQUIRE(samples.size() == 60);
    CHECK(samples.back()["time_ms"].as_integer() == kNowMs);
    CHECK(samples.back()["tasks"].as_integer() == 1);
    CHECK(samples[50]["tasks"].as_integer() == 1);
    CHECK(samples[49]["tasks"].as_integer() == 0);
    CHECK(samples.back().find("cpu_share") == nullptr);
    const auto since = "/smack/v1/nodes/2/usage?since=" + std::to_string(kNowMs - 20'000);
    CHECK(world.as("admin", "GET", since).json()["samples"].as_array().size() == 2);
    CHECK(world.as("admin", "GET", "/smack/v1/nodes/4/usage").status == 404);
    CHECK(world.as("admin", "GET", "/smack/v1/nodes/x/usage").status == 404);
    CHECK(world.as("admin", "GET", "/smack/v1/nodes/2/usage?since=x").status == 422);
    CHECK(world.as("alice", "GET", "/smack/v1/nodes/2/usage").status == 403);
}
