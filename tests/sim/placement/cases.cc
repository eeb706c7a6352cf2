#include "tests/sim/placement/cases.h"

#include <algorithm>
#include <array>
#include <format>
#include <map>
#include <vector>

#include "core/apps/placement.h"
#include "core/random.h"
#include "core/units.h"
#include "tests/sim/placement/oracle.h"

namespace smackd::sim::placement {

using apps::Node;
using wire::Constraint;

namespace {

template <size_t N>
const char* one_of(core::Random& random, const std::array<const char*, N>& list) {
    return list[random.below(N)];
}

struct Case {
    std::vector<Node> nodes;
    std::vector<wire::Task> tasks;
    std::vector<bool> stays;  ///< of tasks of the app
    wire::AppDefinition app;
    uint32_t instances = 1;
};

constexpr std::array<const char*, 4> kZones = {"z1", "z2", "z3", ""};
constexpr std::array<const char*, 5> kNumbers = {"3", "3.0001", "3.001", "0.5", "many"};

std::vector<apps::PortRange> pool(core::Random& random) {
    if (random.one_in(3)) return {apps::kHostPorts};
    const auto first = static_cast<uint16_t>(31000 + random.below(4));
    const auto last = static_cast<uint16_t>(first + random.below(4));
    std::vector<apps::PortRange> ranges = {{first, last}};
    if (random.one_in(3))  // they may overlap
        ranges.push_back({static_cast<uint16_t>(last + random.below(2)), static_cast<uint16_t>(last + 1)});
    return ranges;
}

Node node_of(uint64_t id, core::Random& random) {
    Node node;
    node.id = core::NodeId{id};
    node.machine = std::format("n{}", id);
    node.zone = one_of(random, kZones);
    node.region = random.one_in(2) ? "eu" : "";
    if (!random.one_in(5)) node.attributes["rack"] = std::format("r{}", random.below(4));
    if (random.one_in(2)) node.attributes["number"] = one_of(random, kNumbers);
    if (random.one_in(4)) node.roles.emplace_back("slave_public");
    if (random.one_in(12)) node.roles = {"slave_public"};
    node.total.set_cpus_milli(500 * random.between(0, 8));
    node.total.set_memory_bytes(core::kMiB * 128 * random.between(0, 8));
    node.total.set_disk_bytes(core::kMiB * 1024 * random.between(0, 4));
    if (random.one_in(4)) node.total.set_gpus(static_cast<uint32_t>(random.between(1, 2)));
    node.ports = pool(random);
    if (random.one_in(4)) node.fixed_ports = {{8000, 8001}};
    if (random.one_in(10)) node.liveness = static_cast<apps::Liveness>(random.between(1, 3));
    node.draining = random.one_in(12);
    node.host_network = !random.one_in(6);
    return node;
}

wire::Task task_of(uint64_t number, size_t nodes, core::Random& random) {
    wire::Task task;
    task.set_id(std::format("t{}", number));
    task.set_app_id(random.one_in(2) ? "/a" : "/b");
    task.set_node_id(random.between(1, nodes + 1));  // one of them there is not
    task.mutable_resources()->set_cpus_milli(100 * random.below(8));
    task.mutable_resources()->set_memory_bytes(core::kMiB * 32 * random.below(8));
    if (random.one_in(6)) task.mutable_resources()->set_gpus(1);
    for (uint64_t i = random.below(3); i > 0; --i)
        task.add_host_ports(random.one_in(3) ? 8000 : static_cast<uint32_t>(31000 + random.below(6)));
    constexpr std::array kStates = {wire::TASK_STAGING, wire::TASK_RUNNING,  wire::TASK_RUNNING,
                                    wire::TASK_RUNNING, wire::TASK_FINISHED, wire::TASK_UNREACHABLE};
    task.mutable_status()->set_state(kStates[random.below(kStates.size())]);
    return task;
}

void add_constraint(wire::AppDefinition& app, core::Random& random) {
    constexpr std::array<const char*, 7> kFields = {"hostname", "@zone",   "@zone", "rack",
                                                    "rack",     "@region", "number"};
    constexpr std::array<const char*, 6> kPatterns = {"r[12]", ".*", "r1|z1", "z[0-9]", "n(1|3|5)", "3.*"};
    Constraint& constraint = *app.add_constraints();
    constraint.set_field(one_of(random, kFields));
    constraint.set_op(static_cast<Constraint::Operator>(random.between(1, 7)));
    switch (constraint.op()) {
        case Constraint::LIKE:
        case Constraint::UNLIKE:
            constraint.set_value(one_of(random, kPatterns));
            break;
        case Constraint::MAX_PER:
            constraint.set_value(std::to_string(random.between(1, 3)));
            break;
        case Constraint::GROUP_BY:
            if (random.one_in(3)) constraint.set_value(std::to_string(random.between(1, 4)));
            break;
        case Constraint::CLUSTER:
            if (random.one_in(2)) constraint.set_value(random.one_in(2) ? "z1" : "r2");
            break;
        case Constraint::IS:
            constraint.set_value(random.one_in(3) ? "z2" : one_of(random, kNumbers));
            break;
        default:
            break;
    }
}

void add_ports(wire::AppDefinition& app, core::Random& random) {
    app.add_networks()->set_mode(random.one_in(2) ? wire::NETWORK_HOST : wire::NETWORK_BRIDGE);
    app.set_require_ports(random.one_in(4));
    for (uint64_t i = random.below(4); i > 0; --i) {
        const uint32_t number = random.one_in(2) ? static_cast<uint32_t>(8000 + random.below(3))
                                                 : static_cast<uint32_t>(31000 + random.below(6));
        wire::Port& port = *app.add_ports();
        port.set_service_port(number);
        if (app.networks(0).mode() == wire::NETWORK_BRIDGE && !random.one_in(3))
            port.set_host_port(random.one_in(3) ? number : 0);
    }
}

Case case_of(uint64_t seed) {
    core::SeededRandom random(seed);
    Case made;
    const uint64_t nodes = random.between(1, 9);
    for (uint64_t id = 1; id <= nodes; ++id) made.nodes.push_back(node_of(id, random));
    for (uint64_t i = random.below(10); i > 0; --i) made.tasks.push_back(task_of(i, nodes, random));
    for (size_t i = 0; i < made.tasks.size(); ++i) made.stays.push_back(!random.one_in(3));
    made.app.set_id("/a");
    made.app.mutable_resources()->set_cpus_milli(100 * random.below(6));
    made.app.mutable_resources()->set_memory_bytes(core::kMiB * 32 * random.below(6));
    if (random.one_in(6)) made.app.mutable_resources()->set_disk_bytes(core::kMiB * 512);
    if (random.one_in(8)) made.app.mutable_resources()->set_gpus(1);
    made.app.set_role(random.one_in(6) ? "slave_public" : "*");
    if (random.one_in(4)) made.app.add_accepted_roles("slave_public");
    if (random.one_in(8)) made.app.add_accepted_roles("*");
    for (uint64_t i = random.below(4); i > 0; --i) add_constraint(made.app, random);
    if (!random.one_in(3)) add_ports(made.app, random);
    made.instances = static_cast<uint32_t>(random.between(1, 10));
    return made;
}

template <class T>
void shuffle(std::vector<T>& list, core::Random& random) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random.below(i)]);
}

bool is_active(const wire::Task& task) {
    return task.status().state() < wire::TASK_FINISHED || task.status().state() == wire::TASK_UNREACHABLE;
}

struct Answer {
    uint64_t node = 0;
    std::string role;
    std::vector<uint32_t> ports;
    uint64_t only = 0;
    bool operator==(const Answer&) const = default;
};

/// Places all; the explanation at the end in `why`.
std::vector<Answer> place_all(uint64_t seed, const Case& one, apps::Placement& placement,
                              apps::Constraints constraints, apps::WhyNot& why) {
    core::SeededRandom random(seed + 1);
    core::SeededRandom choice(seed + 2);
    std::vector<Answer> answers;
    apps::Placement::Series series(placement, one.app, constraints);
    for (uint32_t i = 0; i < one.instances; ++i) {
        Answer& answer = answers.emplace_back();
        if (choice.one_in(10)) answer.only = choice.between(1, one.nodes.size());
        const auto place = series.place(random, core::NodeId{answer.only});
        if (!place) continue;
        answer.node = place->node->id.value;
        answer.role = place->role;
        answer.ports = place->host_ports;
    }
    why = placement.explain(one.app, constraints);
    return answers;
}

/// The same case with everything in another order, and the placement made step by step.
std::vector<Answer> place_otherwise(uint64_t seed, Case& one, apps::WhyNot& why) {
    core::SeededRandom random(seed + 3);
    apps::Constraints constraints(one.app);
    std::vector<const Node*> nodes;
    for (const Node& node : one.nodes) nodes.push_back(&node);
    shuffle(nodes, random);
    Node passing = node_of(99, random);
    apps::Placement placement;
    placement.put_node(passing);
    for (const Node* node : nodes) placement.put_node(*node);
    apps::Constraints warm(one.app);
    apps::Placement::Series(placement, one.app, warm);  // asks for the values of fields
    placement.remove_node(passing.id);
    std::vector<const wire::Task*> tasks;
    for (size_t i = 0; i < one.tasks.size(); ++i) tasks.push_back(&one.tasks[i]);
    shuffle(tasks, random);
    for (const Node* node : nodes) {
        std::vector<const wire::Task*> there;
        for (const wire::Task* task : tasks) {
            if (task->node_id() != node->id.value) continue;
            there.push_back(task);
            const auto number = static_cast<size_t>(task - one.tasks.data());
            if (task->app_id() == one.app.id() && is_active(*task)) constraints.add(*node, one.stays[number]);
        }
        placement.recount(node->id, there);
    }
    return place_all(seed, one, placement, std::move(constraints), why);
}

std::string wrong_explanation(const Case& one, const Oracle& oracle, const apps::WhyNot& why) {
    std::map<apps::Reason, uint32_t> counts;
    std::map<std::string, apps::Reason> reasons;
    for (const Node& node : one.nodes) {
        const auto reason = oracle.refusal(node);
        if (!reason) continue;
        ++counts[*reason];
        reasons[node.machine] = *reason;
    }
    if (counts != why.counts) return "the explanation counts otherwise: " + why.text;
    for (const apps::NodeReason& node : why.nodes) {
        if (!reasons.contains(node.machine) || reasons.at(node.machine) != node.reason)
            return std::format("the explanation of '{}': {}", node.machine, node.text);
        if (node.text.empty()) return std::format("no text for '{}'", node.machine);
    }
    return {};
}

}  // namespace

std::string check_placement(uint64_t seed, Counts& counts) {
    Case one = case_of(seed);
    ++counts.cases;
    Oracle oracle(one.nodes, one.tasks, one.app);
    apps::Constraints constraints(one.app);
    std::vector<const wire::Task*> tasks;
    for (size_t i = 0; i < one.tasks.size(); ++i) {
        const wire::Task& task = one.tasks[i];
        tasks.push_back(&task);
        if (task.app_id() != one.app.id() || !is_active(task)) continue;
        oracle.add_own(task.node_id(), one.stays[i]);
        if (task.node_id() <= one.nodes.size()) constraints.add(one.nodes[task.node_id() - 1], one.stays[i]);
    }
    apps::Placement placement(one.nodes, tasks);
    apps::WhyNot why;
    const std::vector<Answer> answers = place_all(seed, one, placement, constraints, why);
    for (const Answer& answer : answers) {
        ++(answer.node == 0 ? counts.refused : counts.placed);
        if (std::string wrong = oracle.judge(answer.node, answer.role, answer.ports, answer.only);
            !wrong.empty())
            return wrong;
    }
    apps::WhyNot otherwise;
    if (answers != place_otherwise(seed, one, otherwise))
        return "another order of nodes or tasks has another result";
    if (otherwise.counts != why.counts) return "another order has another explanation";
    // The constraints that place_all() went on with are its own; the oracle has seen the same.
    return wrong_explanation(one, oracle, why);
}

}  // namespace smackd::sim::placement
