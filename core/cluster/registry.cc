#include "core/cluster/registry.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "core/planted.h"

namespace smackd::core::cluster {
namespace {

// Part of the protocol: a node that is refused with it stops itself (is_removal).
constexpr std::string_view kRemoved = "was removed from the cluster";
constexpr std::string_view kNotYet = "is not known to this server yet";

std::string refusal_of(const wire::PutNode& node, const wire::PutMachine* machine) {
    const std::string who = std::format("node {} (machine {})", node.node_id(), node.machine());
    if (machine == nullptr) return std::format("{} {}", who, kRemoved);
    if (machine->state() != wire::MACHINE_ALLOWED && !SMACK_BUG("registry_ignores_suspension"))
        return who + " is suspended";
    if (machine->generation() != node.generation() && !SMACK_BUG("registry_ignores_generation")) {
        return std::format("{} is of generation {}, its machine of {}: it must join again", who,
                           node.generation(), machine->generation());
    }
    for (const std::string& role : node.roles()) {
        if (std::ranges::contains(machine->roles(), role)) continue;
        return std::format("{} is {}, which the registry does not allow any more", who, role);
    }
    return {};
}

AdmittedNode admitted_of(const wire::PutNode& node) {
    return {NodeId{node.node_id()}, node.machine(), node.address(), is_server(node)};
}

}  // namespace

bool is_removal(const Error& refusal, NodeId self) {
    return refusal.code == Errc::kDenied && refusal.message.ends_with(kRemoved) &&
           refusal.message.starts_with(std::format("node {} ", self.value));
}

bool is_not_known_yet(const Error& refusal) {
    return refusal.code == Errc::kDenied && refusal.message.ends_with(kNotYet);
}

bool is_server(const wire::PutNode& node) {
    return std::ranges::contains(node.roles(), "server");
}

uint64_t epoch_at_join(const wire::PutNode& node) {
    return std::max<uint64_t>(node.epoch(), 1);
}

Registry::Registry(Rows rows)
    : cluster_id_(std::move(rows.cluster_id)), revision_(rows.revision), last_node_id_{rows.last_node_id} {
    for (wire::PutNode& node : rows.nodes) {
        const auto machine = std::ranges::find(rows.machines, node.machine(),
                                               [](const wire::PutMachine& row) { return row.name(); });
        std::string refusal = refusal_of(node, machine == rows.machines.end() ? nullptr : &*machine);
        const NodeId id{node.node_id()};
        nodes_[id] = {std::move(node), std::move(refusal)};
    }
}

Result<AdmittedNode> Registry::check(NodeId node) const {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() && node > last_node_id_)
        return fail(Errc::kDenied, "node {} {}", node.value, kNotYet);
    if (found == nodes_.end()) return fail(Errc::kDenied, "node {} {}", node.value, kRemoved);
    const Entry& entry = found->second;
    if (!entry.refusal.empty()) return fail(Errc::kDenied, "{}", entry.refusal);
    return admitted_of(entry.node);
}

Result<AdmittedNode> Registry::admit(const CertifiedNode& node) const {
    if (node.cluster_id != cluster_id_)
        return fail(Errc::kDenied, "the certificate is of cluster {}", node.cluster_id);
    TRY_ASSIGN(AdmittedNode admitted, check(node.id));
    const wire::PutNode& row = nodes_.at(node.id).node;
    if (node.generation != row.generation()) {
        return fail(Errc::kDenied,
                    "the certificate of node {} is of generation {}, the node of {}: it must join again",
                    node.id.value, node.generation, row.generation());
    }
    return admitted;
}

bool Registry::is_ahead(const CertifiedNode& node) const {
    const auto row = nodes_.find(node.id);
    const bool again = row != nodes_.end() && node.generation > row->second.node.generation();
    const bool later = node.id > last_node_id_ || again || SMACK_BUG("removed_node_let_in");
    return node.cluster_id == cluster_id_ && later;
}

bool Registry::is_outdated(const CertifiedNode& node) const {
    return node.cluster_id == cluster_id_ && check(node.id) &&
           node.generation < nodes_.at(node.id).node.generation();
}

bool Registry::is_of_epoch(NodeId node) const {
    const auto found = nodes_.find(node);
    if (SMACK_BUG("older_epoch_let_in")) return true;
    return found != nodes_.end() &&
           epoch_at_join(found->second.node) == std::max<uint64_t>(revision_.epoch, 1);
}

bool Registry::same(NodeId node, const Registry& other) const {
    if (!check(node) || !other.check(node)) return false;
    return nodes_.at(node).node.generation() == other.nodes_.at(node).node.generation();
}

std::vector<AdmittedNode> Registry::admitted() const {
    std::vector<AdmittedNode> all;
    for (const Entry& entry : nodes_ | std::views::values) {
        if (entry.refusal.empty()) all.push_back(admitted_of(entry.node));
    }
    return all;
}

std::vector<wire::PutNode> Registry::nodes() const {
    std::vector<wire::PutNode> all;
    for (const Entry& entry : nodes_ | std::views::values) all.push_back(entry.node);
    return all;
}

void Registry::let_in(NodeId node, std::string address) {
    Entry& entry = nodes_[node];
    entry.refusal.clear();
    if (entry.node.node_id() != 0) return;
    entry.node.set_node_id(node.value);
    entry.node.set_address(std::move(address));
    entry.node.add_roles("server");
}

wire::RegistryRows Registry::to_wire() const {
    wire::RegistryRows rows;
    rows.set_cluster_id(cluster_id_);
    rows.set_epoch(revision_.epoch);
    rows.set_revision(revision_.number);
    rows.set_last_node_id(last_node_id_.value);
    for (const Entry& entry : nodes_ | std::views::values) {
        wire::RegistryNode& row = *rows.add_nodes();
        *row.mutable_node() = entry.node;
        row.set_refusal(entry.refusal);
    }
    return rows;
}

Result<Registry> Registry::decode(BytesView bytes, std::string_view cluster_id) {
    wire::RegistryRows rows;
    if (bytes.size() > INT32_MAX || !rows.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return fail(Errc::kCorrupt, "registry: no wire.RegistryRows");
    if (rows.cluster_id() != cluster_id) return fail(Errc::kDenied, "registry: of another cluster");
    Registry registry;
    registry.cluster_id_ = cluster_id;
    registry.revision_ = {rows.epoch(), rows.revision()};
    registry.last_node_id_ = {rows.last_node_id()};
    for (wire::RegistryNode& row : *rows.mutable_nodes()) {
        const NodeId id{row.node().node_id()};
        registry.nodes_[id] = {std::move(*row.mutable_node()), std::move(*row.mutable_refusal())};
    }
    return registry;
}

}  // namespace smackd::core::cluster
