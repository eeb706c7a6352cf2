#include "core/apps/placement.h"

#include <algorithm>
#include <format>

#include "core/units.h"

namespace smackd::apps {

using wire::AppDefinition;
using wire::Resources;

namespace {

bool contains(std::span<const PortRange> ranges, uint32_t port) {
    return std::ranges::any_of(ranges,
                               [&](PortRange range) { return port >= range.first && port <= range.last; });
}

uint32_t size_of(std::span<const PortRange> ranges) {
    uint32_t size = 0;
    for (const PortRange range : ranges) size += static_cast<uint32_t>(range.last - range.first + 1);
    return size;
}

/// The port at `offset` when the ranges are laid end to end.
uint32_t port_at(std::span<const PortRange> ranges, uint32_t offset) {
    for (const PortRange range : ranges) {
        const auto size = static_cast<uint32_t>(range.last - range.first + 1);
        if (offset < size) return range.first + offset;
        offset -= size;
    }
    return 0;
}

/// The first of the node's roles that the app accepts; empty: none.
std::string matching_role(const Node& node, const AppDefinition& app) {
    for (const std::string& role : node.roles) {
        const bool accepted = app.accepted_roles_size() == 0
                                  ? role == "*" || role == app.role()
                                  : std::ranges::contains(app.accepted_roles(), role);
        if (accepted) return role;
    }
    return "";
}

uint64_t missing(uint64_t total, uint64_t used, uint64_t wanted) {
    const uint64_t free = total > used ? total - used : 0;
    return wanted > free ? free + 1 : 0;  // 0: enough; else one more than what is free
}

std::string cpus_text(uint64_t milli) {
    std::string text = std::format("{}.{:03}", milli / 1000, milli % 1000);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

bool uses_host_network(const AppDefinition& app) {
    return app.networks_size() > 0 && app.networks(0).mode() == wire::NETWORK_HOST;
}

/// Parts per million of the scarcer of cpu and memory that would be used.
uint64_t load_with(const Node& node, const Resources& used, const Resources& more) {
    const auto share = [](uint64_t part, uint64_t whole) {
        return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    };
    const double cpu = share(used.cpus_milli() + more.cpus_milli(), node.total.cpus_milli());
    const double memory = share(used.memory_bytes() + more.memory_bytes(), node.total.memory_bytes());
    return static_cast<uint64_t>(std::max(cpu, memory) * 1e6);
}

}  // namespace

std::optional<uint32_t> wanted_host_port(const AppDefinition& app, const wire::Port& port) {
    if (uses_host_network(app)) return app.require_ports() ? port.service_port() : 0;
    return port.has_host_port() ? std::optional(port.host_port()) : std::nullopt;
}

Placement::Placement(std::span<const Node> nodes, std::span<const wire::Task* const> tasks)
    : nodes_(nodes), usage_(nodes.size()) {
    for (size_t i = 0; i < nodes.size(); ++i) index_[nodes[i].id] = i;
    for (const wire::Task* task : tasks) {
        const auto found = index_.find(core::NodeId{task->node_id()});
        if (found != index_.end()) use(nodes_[found->second], usage_[found->second], *task);
    }
}

/// False when it is taken already.
bool Placement::take_port(const Node& node, Usage& usage, uint32_t port) {
    if (!usage.ports.insert(port).second) return false;
    usage.pool_ports += contains(node.ports, port);
    return true;
}

void Placement::use(const Node& node, Usage& usage, const wire::Task& task) {
    const wire::TaskState state = task.status().state();
    if (state >= wire::TASK_FINISHED && state != wire::TASK_UNREACHABLE) return;
    add(usage.resources, task.resources());
    for (const uint32_t port : task.host_ports()) {
        if (port != 0) take_port(node, usage, port);
    }
    ++usage.tasks[task.app_id()];
}

const Node* Placement::find(core::NodeId id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : &nodes_[found->second];
}

std::optional<Placement::Refusal> Placement::refusal(const Node& node, const Usage& usage,
                                                     const AppDefinition& app, const Constraints& constraints,
                                                     bool text) {
    if (node.liveness != Liveness::kAlive) return Refusal{Reason::kNodeUnreachable, "does not answer"};
    if (node.draining) return Refusal{Reason::kNodeDraining, "is being drained"};
    if (matching_role(node, app).empty())
        return Refusal{Reason::kUnfulfilledRole, "has none of the accepted roles"};
    if (uses_host_network(app) && !node.host_network)
        return Refusal{Reason::kHostNetworkRefused, "does not allow host networking"};
    if (auto constraint = constraints.refusal(node))
        return Refusal{Reason::kUnfulfilledConstraint, "does not fulfil " + *constraint};
    if (auto lacks = lack(node, usage, app, text)) return lacks;
    return lack_of_ports(node, usage, app, text);
}

std::optional<Placement::Refusal> Placement::lack(const Node& node, const Usage& usage,
                                                  const AppDefinition& app, bool text) {
    const Resources& want = app.resources();
    const Resources& used = usage.resources;
    const Resources& total = node.total;
    const auto refuse = [text](Reason reason, auto write) {
        return Refusal{reason, text ? write() : std::string()};
    };
    if (const auto free = missing(total.cpus_milli(), used.cpus_milli(), want.cpus_milli()))
        return refuse(Reason::kInsufficientCpus, [&] {
            return std::format("needs {} cpus, {} of {} are free", cpus_text(want.cpus_milli()),
                               cpus_text(free - 1), cpus_text(total.cpus_milli()));
        });
    const auto bytes = [&](Reason reason, const char* of, uint64_t all, uint64_t taken,
                           uint64_t needed) -> std::optional<Refusal> {
        const uint64_t free = missing(all, taken, needed);
        if (free == 0) return std::nullopt;
        return refuse(reason, [&] {
            return std::format("needs {} of {}, {} of {} are free", core::format_bytes(needed), of,
                               core::format_bytes(free - 1), core::format_bytes(all));
        });
    };
    if (auto lacks = bytes(Reason::kInsufficientMemory, "memory", total.memory_bytes(), used.memory_bytes(),
                           want.memory_bytes()))
        return lacks;
    if (auto lacks = bytes(Reason::kInsufficientDisk, "disk", total.disk_bytes(), used.disk_bytes(),
                           want.disk_bytes()))
        return lacks;
    if (const auto free = missing(total.gpus(), used.gpus(), want.gpus()))
        return refuse(Reason::kInsufficientGpus, [&] {
            return std::format("needs {} GPUs, {} of {} are free", want.gpus(), free - 1, total.gpus());
        });
    return std::nullopt;
}

std::optional<Placement::Refusal> Placement::lack_of_ports(const Node& node, const Usage& usage,
                                                           const AppDefinition& app, bool text) {
    const auto refuse = [text](auto write) {
        return Refusal{Reason::kInsufficientPorts, text ? write() : std::string()};
    };
    uint32_t any = 0;
    for (const wire::Port& port : app.ports()) {
        const auto wanted = wanted_host_port(app, port);
        if (!wanted) continue;
        any += *wanted == 0;
        if (*wanted == 0) continue;
        if (usage.ports.contains(*wanted))
            return refuse([&] { return std::format("port {} is in use", *wanted); });
        if (!contains(node.fixed_ports, *wanted) && !contains(node.ports, *wanted))
            return refuse([&] { return std::format("port {} is not among those for tasks", *wanted); });
    }
    const uint32_t free_ports = size_of(node.ports) - usage.pool_ports;
    // Ports asked for by number may be among them.
    if (any > 0 && free_ports < static_cast<uint32_t>(app.ports_size()))
        return refuse(
            [&] { return std::format("needs {} ports, {} are free", app.ports_size(), free_ports); });
    return std::nullopt;
}

std::vector<uint32_t> Placement::take_ports(const Node& node, Usage& usage, const AppDefinition& app,
                                            core::Random& random) {
    std::vector<uint32_t> ports(static_cast<size_t>(app.ports_size()), 0);
    for (int i = 0; i < app.ports_size(); ++i) {
        ports[static_cast<size_t>(i)] = wanted_host_port(app, app.ports(i)).value_or(0);
        if (ports[static_cast<size_t>(i)] != 0) take_port(node, usage, ports[static_cast<size_t>(i)]);
    }
    const uint32_t size = size_of(node.ports);
    for (int i = 0; i < app.ports_size() && size > 0; ++i) {
        if (wanted_host_port(app, app.ports(i)) != 0U) continue;
        // From a random place on, so that a port is not given to another task at once: clients may still use
        // it.
        const auto start = static_cast<uint32_t>(random.below(size));
        for (uint32_t step = 0; step < size; ++step) {
            const uint32_t port = port_at(node.ports, (start + step) % size);
            if (!take_port(node, usage, port)) continue;
            ports[static_cast<size_t>(i)] = port;
            break;
        }
    }
    return ports;
}

std::optional<Placement::Rank> Placement::rank(size_t index, const AppDefinition& app,
                                               const Constraints& constraints) const {
    const Node& node = nodes_[index];
    const Usage& usage = usage_[index];
    if (refusal(node, usage, app, constraints, false)) return std::nullopt;
    const auto same = usage.tasks.find(app.id());
    return Rank{constraints.group_load(node), same == usage.tasks.end() ? 0 : same->second,
                load_with(node, usage.resources, app.resources()), node.id};
}

Place Placement::take(size_t index, const AppDefinition& app, core::Random& random) {
    Usage& usage = usage_[index];
    Place place{&nodes_[index], matching_role(nodes_[index], app), {}};
    place.host_ports = take_ports(nodes_[index], usage, app, random);
    wire::Task task;
    task.set_app_id(app.id());
    *task.mutable_resources() = app.resources();
    use(nodes_[index], usage, task);
    return place;
}

std::optional<Place> Placement::place(const AppDefinition& app, const Constraints& constraints,
                                      core::Random& random, core::NodeId only) {
    std::optional<Rank> best;
    for (size_t i = 0; i < nodes_.size(); ++i) {
        if (only.value != 0 && nodes_[i].id != only) continue;
        const auto found = rank(i, app, constraints);
        if (found && (!best || *found < *best)) best = found;
    }
    if (!best) return std::nullopt;
    return take(index_.at(std::get<core::NodeId>(*best)), app, random);
}

Placement::Series::Series(Placement& placement, const AppDefinition& app, const Constraints& constraints)
    : placement_(placement), app_(app), constraints_(constraints) {
    if (!constraints.empty()) return;
    for (size_t i = 0; i < placement.nodes_.size(); ++i) {
        if (const auto found = placement.rank(i, app, constraints)) ranks_.insert(*found);
    }
}

// Constraints may rank every node anew after each task; without them only the node that took it.
std::optional<Place> Placement::Series::place(core::Random& random, core::NodeId only) {
    if (!constraints_.empty()) return placement_.place(app_, constraints_, random, only);
    auto best = ranks_.begin();
    if (only.value != 0)
        best = std::ranges::find(ranks_, only, [](const Rank& rank) { return std::get<core::NodeId>(rank); });
    if (best == ranks_.end()) return std::nullopt;
    const size_t index = placement_.index_.at(std::get<core::NodeId>(*best));
    ranks_.erase(best);
    Place place = placement_.take(index, app_, random);
    if (const auto again = placement_.rank(index, app_, constraints_)) ranks_.insert(*again);
    return place;
}

WhyNot Placement::explain(const AppDefinition& app, const Constraints& constraints, core::NodeId only) const {
    WhyNot why;
    why.kind = WhyNot::Kind::kNoPlace;
    for (size_t i = 0; i < nodes_.size(); ++i) {
        std::optional<Refusal> refused;
        if (only.value != 0 && nodes_[i].id != only) {
            refused = Refusal{Reason::kNoMatchingReservation, "does not have the volume"};
        } else {
            refused = refusal(nodes_[i], usage_[i], app, constraints, true);
        }
        if (!refused) continue;
        ++why.counts[refused->reason];
        if (why.nodes.size() < kNodeReasonsMax)
            why.nodes.push_back({nodes_[i].machine, refused->reason, std::move(refused->text)});
    }
    why.text = nodes_.empty() ? "there are no nodes" : std::format("none of {} nodes fits", nodes_.size());
    std::string separator = ": ";
    for (const auto& [reason, count] : why.counts) {
        why.text += std::format("{}{} {}", separator, count, reason_name(reason));
        separator = ", ";
    }
    return why;
}

std::string_view reason_name(Reason reason) {
    switch (reason) {
        case Reason::kUnfulfilledRole:
            return "UnfulfilledRole";
        case Reason::kUnfulfilledConstraint:
            return "UnfulfilledConstraint";
        case Reason::kNoMatchingReservation:
            return "NoCorrespondingReservationFound";
        case Reason::kNodeDraining:
            return "AgentMaintenance";
        case Reason::kInsufficientCpus:
            return "InsufficientCpus";
        case Reason::kInsufficientMemory:
            return "InsufficientMemory";
        case Reason::kInsufficientDisk:
            return "InsufficientDisk";
        case Reason::kInsufficientGpus:
            return "InsufficientGpus";
        case Reason::kInsufficientPorts:
            return "InsufficientPorts";
        case Reason::kNodeUnreachable:
            return "NodeUnreachable";
        case Reason::kHostNetworkRefused:
            return "HostNetworkRefused";
    }
    return "Unknown";
}

}  // namespace smackd::apps
