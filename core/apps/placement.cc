#include "core/apps/placement.h"

#include <algorithm>
#include <format>
#include <utility>

#include "core/planted.h"
#include "core/units.h"

namespace smackd::apps {

using wire::AppDefinition;

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

/// Different ports: an operator's ranges may overlap.
uint32_t ports_in(std::vector<PortRange> ranges) {
    std::ranges::sort(ranges, {}, &PortRange::first);
    uint32_t count = 0;
    uint32_t next = 0;
    for (const PortRange range : ranges) {
        const uint32_t first = std::max<uint32_t>(range.first, next);
        if (range.last < first) continue;
        count += range.last - first + 1;
        next = range.last + 1U;
    }
    return count;
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
std::string matching_role(std::span<const std::string> roles, const AppDefinition& app) {
    for (const std::string& role : roles) {
        if (accepts_role(app, role)) return role;
    }
    return "";
}

bool has_free(uint64_t total, uint64_t used, uint64_t wanted) {
    return wanted <= (total > used ? total - used : 0);
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

}  // namespace

bool accepts_role(const AppDefinition& app, std::string_view role) {
    if (app.accepted_roles_size() == 0 || SMACK_BUG("placement_ignores_roles"))
        return role == "*" || role == app.role();
    return std::ranges::contains(app.accepted_roles(), role);
}

std::optional<uint32_t> wanted_host_port(const AppDefinition& app, const wire::Port& port) {
    if (uses_host_network(app)) return app.require_ports() ? port.service_port() : 0;
    return port.has_host_port() ? std::optional(port.host_port()) : std::nullopt;
}

Demand::Demand(const AppDefinition& definition)
    : app(definition),
      cpus_milli(definition.resources().cpus_milli()),
      memory_bytes(definition.resources().memory_bytes()),
      disk_bytes(definition.resources().disk_bytes()),
      gpus(definition.resources().gpus()),
      host_network(uses_host_network(definition)) {
    for (const wire::Port& port : definition.ports()) {
        const auto wanted = wanted_host_port(definition, port);
        if (!wanted) continue;
        any_ports += *wanted == 0;
        if (*wanted != 0 && !std::ranges::contains(fixed_ports, *wanted)) fixed_ports.push_back(*wanted);
    }
}

Placement::Placement(std::span<const Node> nodes, std::span<const wire::Task* const> tasks) {
    for (const Node& node : nodes) put_node(node);
    for (const wire::Task* task : tasks) {
        const auto found = index_.find(core::NodeId{task->node_id()});
        if (found != index_.end()) use(slots_[found->second], ports_[found->second], *task);
    }
}

void Placement::put_node(const Node& node) {
    const auto [found, fresh] = index_.try_emplace(node.id, slots_.size());
    if (fresh && !free_slots_.empty()) {
        found->second = free_slots_.back();
        free_slots_.pop_back();
    } else if (fresh) {
        slots_.emplace_back();
        ports_.emplace_back();
    }
    const size_t index = found->second;
    Slot& slot = slots_[index];
    slot.node = &node;
    slot.cpus = node.total.cpus_milli();
    slot.memory = node.total.memory_bytes();
    slot.disk = node.total.disk_bytes();
    slot.gpus = node.total.gpus();
    slot.roles = roles_number(node.roles);
    slot.open = node.liveness == Liveness::kAlive && !node.draining;
    slot.host_network = node.host_network;
    const auto in_use =
        std::ranges::count_if(ports_[index], [&](uint32_t port) { return contains(node.ports, port); });
    slot.free_ports = ports_in(node.ports) - static_cast<uint32_t>(in_use);
    for (auto& [field, column] : columns_) set_value(column, field, index, &node);
}

void Placement::remove_node(core::NodeId id) {
    const auto found = index_.find(id);
    if (found == index_.end()) return;
    const size_t index = found->second;
    index_.erase(found);
    slots_[index] = {};
    ports_[index].clear();
    free_slots_.push_back(index);
    for (auto& [field, column] : columns_) set_value(column, field, index, nullptr);
}

uint32_t Placement::roles_number(const std::vector<std::string>& roles) {
    auto found = std::ranges::find(roles_, roles);
    if (found == roles_.end()) found = roles_.insert(found, roles);
    return static_cast<uint32_t>(found - roles_.begin());
}

void Placement::set_value(Column& column, const std::string& field, size_t index, const Node* node) {
    if (index >= column.of_slot.size()) column.of_slot.resize(index + 1, 0);
    column.of_slot[index] = 0;
    auto value = node == nullptr ? std::nullopt : field_value(*node, field);
    if (!value) return;
    const auto next = static_cast<uint32_t>(column.values.size() + 1);
    const auto [found, fresh] = column.numbers.emplace(*value, next);
    if (fresh) column.values.push_back(*std::move(value));
    column.of_slot[index] = found->second;
}

const Placement::Column& Placement::column(const std::string& field) {
    const auto [found, fresh] = columns_.try_emplace(field);
    for (size_t i = 0; fresh && i < slots_.size(); ++i) set_value(found->second, field, i, slots_[i].node);
    return found->second;
}

/// False when it is taken already.
bool Placement::take_port(Slot& slot, Ports& ports, uint32_t port) {
    const auto at = std::ranges::lower_bound(ports, port);
    if (at != ports.end() && *at == port) return SMACK_BUG("placement_port_twice");
    ports.insert(at, port);
    slot.free_ports -= contains(slot.node->ports, port);
    return true;
}

void Placement::use(Slot& slot, Ports& ports, const wire::Task& task) {
    const wire::TaskState state = task.status().state();
    if (state >= wire::TASK_FINISHED && state != wire::TASK_UNREACHABLE) return;
    const wire::Resources& resources = task.resources();
    slot.cpus_used += resources.cpus_milli();
    slot.memory_used += resources.memory_bytes();
    slot.disk_used += resources.disk_bytes();
    slot.gpus_used += resources.gpus();
    for (const uint32_t port : task.host_ports()) {
        if (port != 0) take_port(slot, ports, port);
    }
}

bool Placement::recount(core::NodeId id, std::span<const wire::Task* const> tasks) {
    const auto found = index_.find(id);
    if (found == index_.end()) return false;
    Slot& slot = slots_[found->second];
    Ports& ports = ports_[found->second];
    const Slot before = slot;
    const Ports ports_before = std::move(ports);
    ports.clear();
    slot.cpus_used = slot.memory_used = slot.disk_used = slot.gpus_used = 0;
    slot.free_ports = ports_in(slot.node->ports);
    for (const wire::Task* task : tasks) use(slot, ports, *task);
    return slot.cpus_used < before.cpus_used || slot.memory_used < before.memory_used ||
           slot.disk_used < before.disk_used || slot.gpus_used < before.gpus_used ||
           !std::ranges::includes(ports, ports_before);
}

std::vector<core::NodeId> Placement::take_touched() {
    return std::exchange(touched_, {});
}

const Node* Placement::find(core::NodeId id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : slots_[found->second].node;
}

bool Placement::has_resources(const Slot& slot, const Demand& demand) const {
    return has_free(slot.cpus, slot.cpus_used, demand.cpus_milli) &&
           (has_free(slot.memory, slot.memory_used, demand.memory_bytes) ||
            SMACK_BUG("placement_overcommits")) &&
           has_free(slot.disk, slot.disk_used, demand.disk_bytes) &&
           has_free(slot.gpus, slot.gpus_used, demand.gpus);
}

bool Placement::has_ports(const Slot& slot, const Ports& used, const Demand& demand) const {
    if (demand.fixed_ports.empty()) return demand.any_ports <= slot.free_ports;
    return !lack_of_ports(slot, used, demand, false);
}

bool Placement::has_room(core::NodeId id, const Demand& demand) const {
    const auto found = index_.find(id);
    if (found == index_.end()) return false;
    const Slot& slot = slots_[found->second];
    return slot.open && (!demand.host_network || slot.host_network) && has_resources(slot, demand) &&
           has_ports(slot, ports_[found->second], demand) &&
           !matching_role(slot.node->roles, demand.app).empty();
}

std::optional<Placement::Refusal> Placement::refusal(size_t index, const Demand& demand,
                                                     const Constraints& constraints, bool text) const {
    const Slot& slot = slots_[index];
    const Node& node = *slot.node;
    if (node.liveness != Liveness::kAlive) return Refusal{Reason::kNodeUnreachable, "does not answer"};
    if (node.draining && !SMACK_BUG("placement_explains_otherwise"))
        return Refusal{Reason::kNodeDraining, "is being drained"};
    if (matching_role(node.roles, demand.app).empty())
        return Refusal{Reason::kUnfulfilledRole, "has none of the accepted roles"};
    if (demand.host_network && !node.host_network)
        return Refusal{Reason::kHostNetworkRefused, "does not allow host networking"};
    if (const ConstraintRule* rule = constraints.refusal(node))
        return Refusal{Reason::kUnfulfilledConstraint, text ? "does not fulfil " + rule->text() : ""};
    if (auto lacks = lack(slot, demand, text)) return lacks;
    return lack_of_ports(slot, ports_[index], demand, text);
}

std::optional<Placement::Refusal> Placement::lack(const Slot& slot, const Demand& demand, bool text) {
    const auto refuse = [text](Reason reason, auto write) {
        return Refusal{reason, text ? write() : std::string()};
    };
    if (const auto free = missing(slot.cpus, slot.cpus_used, demand.cpus_milli))
        return refuse(Reason::kInsufficientCpus, [&] {
            return std::format("needs {} cpus, {} of {} are free", cpus_text(demand.cpus_milli),
                               cpus_text(free - 1), cpus_text(slot.cpus));
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
    if (auto lacks =
            bytes(Reason::kInsufficientMemory, "memory", slot.memory, slot.memory_used, demand.memory_bytes))
        return lacks;
    if (auto lacks = bytes(Reason::kInsufficientDisk, "disk", slot.disk, slot.disk_used, demand.disk_bytes))
        return lacks;
    if (const auto free = missing(slot.gpus, slot.gpus_used, demand.gpus))
        return refuse(Reason::kInsufficientGpus, [&] {
            return std::format("needs {} GPUs, {} of {} are free", demand.gpus, free - 1, slot.gpus);
        });
    return std::nullopt;
}

std::optional<Placement::Refusal> Placement::lack_of_ports(const Slot& slot, const Ports& used,
                                                           const Demand& demand, bool text) {
    const auto refuse = [text](auto write) {
        return Refusal{Reason::kInsufficientPorts, text ? write() : std::string()};
    };
    const Node& node = *slot.node;
    uint32_t of_pool = demand.any_ports;
    for (const uint32_t port : demand.fixed_ports) {
        const bool in_pool = contains(node.ports, port);
        if (std::ranges::binary_search(used, port))
            return refuse([&] { return std::format("port {} is in use", port); });
        if (!in_pool && !contains(node.fixed_ports, port))
            return refuse([&] { return std::format("port {} is not among those for tasks", port); });
        of_pool += in_pool || SMACK_BUG("placement_refuses_ports");
    }
    if (demand.any_ports > 0 && slot.free_ports < of_pool)
        return refuse([&] { return std::format("needs {} ports, {} are free", of_pool, slot.free_ports); });
    return std::nullopt;
}

std::vector<uint32_t> Placement::take_ports(Slot& slot, Ports& used, const AppDefinition& app,
                                            core::Random& random) {
    const Node& node = *slot.node;
    std::vector<uint32_t> ports(static_cast<size_t>(app.ports_size()), 0);
    for (int i = 0; i < app.ports_size(); ++i) {
        ports[static_cast<size_t>(i)] = wanted_host_port(app, app.ports(i)).value_or(0);
        if (ports[static_cast<size_t>(i)] != 0) take_port(slot, used, ports[static_cast<size_t>(i)]);
    }
    const uint32_t size = size_of(node.ports);
    for (int i = 0; i < app.ports_size() && size > 0; ++i) {
        if (wanted_host_port(app, app.ports(i)) != 0U) continue;
        // From a random place on, so that a port is not given to another task at once: clients may still use
        // it.
        const auto start = static_cast<uint32_t>(random.below(size));
        for (uint32_t step = 0; step < size; ++step) {
            const uint32_t port = port_at(node.ports, (start + step) % size);
            if (!take_port(slot, used, port)) continue;
            ports[static_cast<size_t>(i)] = port;
            break;
        }
    }
    return ports;
}

Place Placement::take(size_t index, const Demand& demand, core::Random& random) {
    Slot& slot = slots_[index];
    Place place{slot.node, matching_role(slot.node->roles, demand.app), {}};
    place.host_ports = take_ports(slot, ports_[index], demand.app, random);
    slot.cpus_used += demand.cpus_milli;
    slot.memory_used += demand.memory_bytes;
    slot.disk_used += demand.disk_bytes;
    slot.gpus_used += demand.gpus;
    touched_.push_back(slot.node->id);
    return place;
}

WhyNot Placement::explain(const AppDefinition& app, const Constraints& constraints, core::NodeId only) const {
    WhyNot why;
    why.kind = WhyNot::Kind::kNoPlace;
    const Demand demand(app);
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].node == nullptr) continue;
        const bool shown = why.nodes.size() < kNodeReasonsMax;
        std::optional<Refusal> refused;
        if (only.value != 0 && slots_[i].node->id != only) {
            refused = Refusal{Reason::kNoMatchingReservation, "does not have the volume"};
        } else {
            refused = refusal(i, demand, constraints, shown);
        }
        if (!refused) continue;
        ++why.counts[refused->reason];
        if (shown) why.nodes.push_back({slots_[i].node->machine, refused->reason, std::move(refused->text)});
    }
    why.text = index_.empty() ? "there are no nodes" : std::format("none of {} nodes fits", index_.size());
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
