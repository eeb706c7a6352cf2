#include "tests/sim/placement/oracle.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <format>
#include <regex>

namespace smackd::sim::placement {

using apps::Node;
using apps::Reason;
using wire::Constraint;

namespace {

std::string value_of(const Node& node, const std::string& field) {
    if (field == "hostname" || field == "@hostname") return node.machine;
    if (field == "@region") return node.region;
    if (field == "@zone") return node.zone;
    const auto found = node.attributes.find(field);
    return found == node.attributes.end() ? "" : found->second;
}

bool has_value(const Node& node, const std::string& field) {
    return !value_of(node, field).empty() || node.attributes.contains(field);
}

bool matches(const std::string& pattern, const std::string& text) {
    static std::map<std::string, std::regex> patterns;
    const auto found = patterns.try_emplace(pattern, pattern).first;
    return std::regex_match(text, found->second);
}

/// A number in plain decimals, in thousandths.
std::optional<int64_t> thousandths(const std::string& text) {
    if (!matches("-?[0-9]+([.][0-9]+)?", text)) return std::nullopt;
    return std::llround(std::strtod(text.c_str(), nullptr) * 1000);
}

bool is_in(const std::vector<apps::PortRange>& ranges, uint32_t port) {
    return std::ranges::any_of(ranges,
                               [&](const auto& range) { return port >= range.first && port <= range.last; });
}

bool over(uint64_t total, uint64_t used, uint64_t wanted) {
    return wanted > 0 && used + wanted > total;
}

}  // namespace

Oracle::Oracle(const std::vector<Node>& nodes, const std::vector<wire::Task>& tasks, wire::AppDefinition app)
    : nodes_(nodes), app_(std::move(app)) {
    for (const wire::Task& task : tasks) {
        const bool ended =
            task.status().state() >= wire::TASK_FINISHED && task.status().state() != wire::TASK_UNREACHABLE;
        if (ended) continue;
        Used& used = used_[task.node_id()];
        used.cpus += task.resources().cpus_milli();
        used.memory += task.resources().memory_bytes();
        used.disk += task.resources().disk_bytes();
        used.gpus += task.resources().gpus();
        used.ports.insert(task.host_ports().begin(), task.host_ports().end());
        used.ports.erase(0);
    }
}

const Node* Oracle::find(uint64_t id) const {
    const auto found = std::ranges::find(nodes_, core::NodeId{id}, &Node::id);
    return found == nodes_.end() ? nullptr : &*found;
}

void Oracle::add_own(uint64_t node, bool stays) {
    if (const Node* there = find(node)) own_.push_back({there, stays});
}

std::vector<std::string> Oracle::values(const std::string& field, bool staying_only) const {
    std::vector<std::string> found;
    for (const Own& own : own_) {
        if ((own.stays || !staying_only) && has_value(*own.node, field))
            found.push_back(value_of(*own.node, field));
    }
    return found;
}

bool Oracle::fulfils(const Node& node, const Constraint& constraint) const {
    if (!has_value(node, constraint.field())) return constraint.op() == Constraint::UNLIKE;
    const std::string value = value_of(node, constraint.field());
    const std::vector<std::string> there = values(constraint.field(), false);
    const auto same = std::ranges::count(there, value);
    const long number = std::strtol(constraint.value().c_str(), nullptr, 10);
    switch (constraint.op()) {
        case Constraint::UNIQUE:
            return same == 0;
        case Constraint::MAX_PER:
            return same < number;
        case Constraint::CLUSTER:
            if (!constraint.value().empty()) return value == constraint.value();
            return there.empty() || same > 0;
        case Constraint::LIKE:
            return matches(constraint.value(), value);
        case Constraint::UNLIKE:
            return !matches(constraint.value(), value);
        case Constraint::IS: {
            const auto left = thousandths(value);
            return value == constraint.value() || (left && left == thousandths(constraint.value()));
        }
        case Constraint::GROUP_BY: {
            const std::vector<std::string> staying = values(constraint.field(), true);
            const std::set<std::string> groups(staying.begin(), staying.end());
            return number == 0 || groups.contains(value) || static_cast<long>(groups.size()) < number;
        }
        default:
            return false;
    }
}

std::optional<uint32_t> Oracle::wanted_port(const wire::Port& port) const {
    const bool host = app_.networks_size() > 0 && app_.networks(0).mode() == wire::NETWORK_HOST;
    if (host) return app_.require_ports() ? port.service_port() : 0;
    return port.has_host_port() ? std::optional(port.host_port()) : std::nullopt;
}

/// Tries the ports out: those asked for by number first, then any for the others.
bool Oracle::has_ports(const Node& node) const {
    const auto found = used_.find(node.id.value);
    std::set<uint32_t> taken = found == used_.end() ? std::set<uint32_t>{} : found->second.ports;
    std::set<uint32_t> own;
    uint32_t any = 0;
    for (const wire::Port& port : app_.ports()) {
        const auto wanted = wanted_port(port);
        any += wanted == 0U;
        if (!wanted || *wanted == 0) continue;
        if (taken.contains(*wanted) || (!is_in(node.fixed_ports, *wanted) && !is_in(node.ports, *wanted)))
            return false;
        own.insert(*wanted);
    }
    std::set<uint32_t> free;
    for (const apps::PortRange& range : node.ports) {
        for (uint32_t port = range.first; port <= range.last && free.size() < any; ++port) {
            if (!taken.contains(port) && !own.contains(port)) free.insert(port);
        }
    }
    return free.size() >= any;
}

std::optional<Reason> Oracle::refusal(const Node& node) const {
    if (node.liveness != apps::Liveness::kAlive) return Reason::kNodeUnreachable;
    if (node.draining) return Reason::kNodeDraining;
    const auto accepted = [&](const std::string& role) {
        if (app_.accepted_roles_size() == 0) return role == "*" || role == app_.role();
        return std::ranges::find(app_.accepted_roles(), role) != app_.accepted_roles().end();
    };
    if (std::ranges::none_of(node.roles, accepted)) return Reason::kUnfulfilledRole;
    const bool host = app_.networks_size() > 0 && app_.networks(0).mode() == wire::NETWORK_HOST;
    if (host && !node.host_network) return Reason::kHostNetworkRefused;
    for (const Constraint& constraint : app_.constraints()) {
        if (!fulfils(node, constraint)) return Reason::kUnfulfilledConstraint;
    }
    const auto found = used_.find(node.id.value);
    const Used used = found == used_.end() ? Used{} : found->second;
    const wire::Resources& wanted = app_.resources();
    if (over(node.total.cpus_milli(), used.cpus, wanted.cpus_milli())) return Reason::kInsufficientCpus;
    if (over(node.total.memory_bytes(), used.memory, wanted.memory_bytes()))
        return Reason::kInsufficientMemory;
    if (over(node.total.disk_bytes(), used.disk, wanted.disk_bytes())) return Reason::kInsufficientDisk;
    if (over(node.total.gpus(), used.gpus, wanted.gpus())) return Reason::kInsufficientGpus;
    if (!has_ports(node)) return Reason::kInsufficientPorts;
    return std::nullopt;
}

std::vector<const Node*> Oracle::feasible(uint64_t only) const {
    std::vector<const Node*> fit;
    for (const Node& node : nodes_) {
        if ((only == 0 || node.id.value == only) && !refusal(node)) fit.push_back(&node);
    }
    return fit;
}

uint64_t Oracle::balance(const Node& node) const {
    uint64_t sum = 0;
    for (const Constraint& constraint : app_.constraints()) {
        if (constraint.op() != Constraint::GROUP_BY) continue;
        sum += static_cast<uint64_t>(
            std::ranges::count(values(constraint.field(), true), value_of(node, constraint.field())));
    }
    return sum;
}

uint64_t Oracle::own_on(const Node& node) const {
    return static_cast<uint64_t>(std::ranges::count(own_, &node, &Own::node));
}

/// Of the scarcer of cpu and memory, with one more task.
double Oracle::load(const Node& node) const {
    const auto found = used_.find(node.id.value);
    const Used used = found == used_.end() ? Used{} : found->second;
    const auto share = [](uint64_t part, uint64_t whole) {
        return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    };
    return std::max(share(used.cpus + app_.resources().cpus_milli(), node.total.cpus_milli()),
                    share(used.memory + app_.resources().memory_bytes(), node.total.memory_bytes()));
}

/// Spread: the least filled group, then the fewest tasks of the app, then the least loaded, then by id.
std::string Oracle::better_than(const Node& chosen, const std::vector<const Node*>& others) const {
    constexpr double kPartPerMillion = 1e-6;
    for (const Node* other : others) {
        const auto name = [&](const char* why) {
            return std::format("'{}' was chosen, '{}' {}", chosen.machine, other->machine, why);
        };
        if (balance(*other) != balance(chosen)) {
            if (balance(*other) < balance(chosen)) return name("is of a less filled group");
            continue;
        }
        if (own_on(*other) != own_on(chosen)) {
            if (own_on(*other) < own_on(chosen)) return name("has fewer tasks of the app");
            continue;
        }
        if (load(*other) < load(chosen) - 2 * kPartPerMillion) return name("is less loaded");
        if (load(*other) == load(chosen) && other->id < chosen.id) return name("is equal and has a lower id");
    }
    return {};
}

std::string Oracle::wrong_ports(const Node& node, const std::vector<uint32_t>& ports) const {
    if (static_cast<int>(ports.size()) != app_.ports_size()) return "a wrong number of ports";
    const auto found = used_.find(node.id.value);
    const std::set<uint32_t> taken = found == used_.end() ? std::set<uint32_t>{} : found->second.ports;
    std::set<uint32_t> any;
    std::set<uint32_t> fixed;
    for (int i = 0; i < app_.ports_size(); ++i) {
        const uint32_t port = ports[static_cast<size_t>(i)];
        const auto wanted = wanted_port(app_.ports(i));
        if (!wanted && port != 0) return std::format("port {} for one that is not published", port);
        if (!wanted) continue;
        if (port == 0) return "a port that was asked for is missing";
        if (taken.contains(port)) return std::format("port {} is another task's", port);
        if (*wanted != 0 && port != *wanted) return std::format("port {} instead of {}", port, *wanted);
        if (*wanted == 0 && !is_in(node.ports, port)) return std::format("port {} is not of the pool", port);
        if (*wanted == 0 && !any.insert(port).second) return std::format("port {} twice", port);
        if (*wanted != 0) fixed.insert(port);
    }
    for (const uint32_t port : any) {
        if (fixed.contains(port)) return std::format("port {} twice", port);
    }
    return {};
}

std::string Oracle::judge(uint64_t id, const std::string& role, const std::vector<uint32_t>& ports,
                          uint64_t only) {
    const std::vector<const Node*> fit = feasible(only);
    if (id == 0) return fit.empty() ? "" : std::format("no place, but '{}' fits", fit.front()->machine);
    const Node* node = find(id);
    if (node == nullptr) return "a place on a node that there is not";
    if (!std::ranges::contains(fit, node))
        return std::format(
            "'{}' cannot take it: {}", node->machine,
            only != 0 && only != id ? "another node was asked for" : apps::reason_name(*refusal(*node)));
    if (std::string better = better_than(*node, fit); !better.empty()) return better;
    if (std::string wrong = wrong_ports(*node, ports); !wrong.empty()) return wrong;
    const bool offered = std::ranges::find(node->roles, role) != node->roles.end();
    const bool accepted = app_.accepted_roles_size() == 0
                              ? role == "*" || role == app_.role()
                              : std::ranges::find(app_.accepted_roles(), role) != app_.accepted_roles().end();
    if (!offered || !accepted) return std::format("the role '{}'", role);
    Used& used = used_[id];
    used.cpus += app_.resources().cpus_milli();
    used.memory += app_.resources().memory_bytes();
    used.disk += app_.resources().disk_bytes();
    used.gpus += app_.resources().gpus();
    for (const uint32_t port : ports) {
        if (port != 0) used.ports.insert(port);
    }
    own_.push_back({node, true});
    return {};
}

}  // namespace smackd::sim::placement
