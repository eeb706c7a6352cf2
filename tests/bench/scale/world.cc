#include "tests/bench/scale/world.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <format>

#include "core/apps/deployment.h"
#include "core/marathon/app_json.h"
#include "storage/state/limits.h"

namespace smackd::bench {

namespace {

constexpr uint32_t kZones = 5;
constexpr uint32_t kRacks = 200;  // each in one zone
constexpr uint64_t kGiB = 1ULL << 30U;
constexpr uint32_t kAppsPerDeployment = 10;

struct Kind {
    uint64_t cpus;
    uint64_t gib;
    const char* disk;
};
constexpr std::array<Kind, 4> kKinds = {
    {{8, 32, "ssd"}, {16, 64, "ssd"}, {32, 128, "hdd"}, {64, 256, "nvme"}}};

/// Marathon's operators as they are used: alone, in pairs, with and without values.
constexpr std::array<const char*, 16> kConstraints = {
    "",
    "",
    "",
    R"(["hostname", "UNIQUE"])",
    R"(["hostname", "UNIQUE"], ["@zone", "GROUP_BY"])",
    R"(["@zone", "GROUP_BY"])",
    R"(["rack", "GROUP_BY"])",
    R"(["@zone", "GROUP_BY", "3"], ["rack", "GROUP_BY"])",
    R"(["hostname", "GROUP_BY"])",
    R"(["hostname", "MAX_PER", "2"])",
    R"(["rack", "MAX_PER", "4"], ["disk", "LIKE", "ssd|nvme"])",
    R"(["rack", "LIKE", "r[0-9]*[02468]"])",
    R"(["disk", "UNLIKE", "hdd"], ["@zone", "GROUP_BY"])",
    R"(["@zone", "CLUSTER"])",
    R"(["disk", "CLUSTER", "ssd"], ["hostname", "MAX_PER", "1"])",
    R"(["generation", "IS", "3"])",
};

[[noreturn]] void wrong(const std::string& what) {
    std::fprintf(stderr, "scale: %s\n", what.c_str());
    std::abort();
}

wire::AppDefinition app_of(uint32_t number, core::Random& random) {
    const uint64_t cpus = random.between(1, 8);
    const std::string ports =
        random.one_in(3) ? R"("networks": [{"mode": "host"}])"
                         : R"("networks": [{"mode": "container/bridge"}], "container": {"type": "MESOS",
                              "portMappings": [{"containerPort": 8080, "hostPort": 0}]})";
    const std::string text = std::format(
        R"({{"id": "/team{}/service{}", "cmd": "exec ./serve --port $PORT0 --threads 4", "cpus": 0.{}, "mem": {},
            "env": {{"LEVEL": "info", "REGION": "eu"}}, "labels": {{"team": "t{}", "tier": "back"}},
            "healthChecks": [{{"protocol": "TCP", "portIndex": 0}}], "constraints": [{}], {}}})",
        number % 40, number, cpus, 64 * random.between(1, 8), number % 40,
        kConstraints[random.below(kConstraints.size())], ports);
    auto json = core::Json::parse(text);
    if (!json) wrong(json.error().message);
    auto app = marathon::app_from_json(*json, {});
    if (!app) wrong(app.error().message + ": " + text);
    apps::stamp(*app, nullptr, kWorldMs + number);
    return std::move(*app);
}

/// Many small ones, some middle-sized and few large.
uint32_t instances_of(core::Random& random) {
    const uint64_t kind = random.below(10);
    const uint64_t most = kind < 6 ? 8 : kind < 9 ? 60 : 400;
    return static_cast<uint32_t>(random.between(1, most));
}

void make_apps(World& world, const WorldSize& size, core::Random& random) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < size.apps; ++i) {
        world.apps.push_back(app_of(i, random));
        world.apps.back().set_instances(instances_of(random));
        sum += world.apps.back().instances();
    }
    uint64_t given = 0;
    for (wire::AppDefinition& app : world.apps) {
        app.set_instances(std::max<uint32_t>(1, static_cast<uint32_t>(app.instances() * size.tasks / sum)));
        given += app.instances();
    }
    // What rounding left over, one each.
    for (size_t i = 0; given != size.tasks; i = (i + 1) % world.apps.size()) {
        const bool more = given < size.tasks;
        if (!more && world.apps[i].instances() < 2) continue;
        world.apps[i].set_instances(world.apps[i].instances() + (more ? 1 : -1U));
        given += more ? 1 : -1ULL;
    }
}

void make_deployments(World& world) {
    for (size_t first = 0; first < world.apps.size(); first += kAppsPerDeployment) {
        apps::Apps wanted;
        for (size_t i = first; i < std::min(first + kAppsPerDeployment, world.apps.size()); ++i)
            wanted[world.apps[i].id()] = world.apps[i];
        world.deployments.push_back(apps::plan_deployment(
            {}, wanted, {},
            {.id = std::format("00000000-0000-4000-8000-{:012}", first), .now_ms = kWorldMs}));
    }
}

}  // namespace

World World::make(const WorldSize& size, uint64_t seed) {
    core::SeededRandom random(seed);
    World world;
    for (uint32_t i = 1; i <= size.nodes; ++i) {
        const uint64_t rack = random.below(kRacks);
        const Kind& kind = kKinds[random.below(kKinds.size())];
        wire::PutMachine& machine = world.machines.emplace_back();
        machine.set_name(std::format("node{:05}.example", i));
        machine.add_roles(random.one_in(20) ? "public" : "agent");
        machine.set_state(wire::MACHINE_ALLOWED);
        auto& attributes = *machine.mutable_attributes();
        attributes["rack"] = std::format("r{}", rack);
        attributes["disk"] = kind.disk;
        attributes["generation"] = std::to_string(random.between(1, 4));
        wire::PutNode& node = world.nodes.emplace_back();
        node.set_node_id(i);
        node.set_machine(machine.name());
        node.set_address(std::format("10.{}.{}.{}:5055", i / 65536, i / 256 % 256, i % 256));
        node.set_zone(std::format("zone{}", rack % kZones));
        *node.mutable_roles() = machine.roles();
        wire::NodeCapacity& capacity = world.capacities.emplace_back();
        capacity.set_node_id(i);
        capacity.mutable_total()->set_cpus_milli(kind.cpus * 1000);
        capacity.mutable_total()->set_memory_bytes(kind.gib * kGiB);
        capacity.mutable_total()->set_disk_bytes(kind.gib * 8 * kGiB);
        capacity.set_address(std::format("10.{}.{}.{}", i / 65536, i / 256 % 256, i % 256));
        capacity.set_host_network(true);
        capacity.set_region("eu");
    }
    make_apps(world, size, random);
    make_deployments(world);
    return world;
}

std::vector<services::LiveMember> World::members() const {
    std::vector<services::LiveMember> members;
    for (const wire::PutNode& node : nodes)
        members.push_back({.id = core::NodeId{node.node_id()}, .state = "alive", .since = core::seconds(60)});
    return members;
}

services::AppsModel World::model() const {
    services::AppsModel model;
    for (const auto& machine : machines) model.machines[machine.name()] = machine;
    for (const auto& node : nodes) model.nodes[node.node_id()] = node;
    for (const auto& capacity : capacities) model.capacities[capacity.node_id()] = capacity;
    for (const auto& app : apps) model.apps[app.id()] = {.put = app, .version = 1};
    for (const auto& deployment : deployments)
        model.deployments[deployment.id()] = {.put = deployment, .version = 1};
    return model;
}

wire::Command system_command() {
    wire::Command command;
    command.set_feature_level(storage::state::kFeatureLevelMax);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("bench");
    return command;
}

std::vector<wire::Command> World::commands() const {
    std::vector<wire::Command> commands;
    const auto add = [&commands]() -> wire::Change& {
        commands.push_back(system_command());
        return *commands.back().add_changes();
    };
    for (const auto& machine : machines) *add().mutable_put_machine() = machine;
    for (const auto& node : nodes) *add().mutable_put_node() = node;
    for (const auto& capacity : capacities) *add().mutable_put_node_capacity()->mutable_capacity() = capacity;
    for (const auto& app : apps) *add().mutable_put_app()->mutable_app() = app;
    for (const auto& deployment : deployments)
        *add().mutable_put_deployment()->mutable_deployment() = deployment;
    return commands;
}

}  // namespace smackd::bench
