#include "auth/registry.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <ranges>

#include "auth/cluster_ca.h"

namespace smackd::auth {

using core::Errc;
using core::NodeId;
using core::Result;

namespace {

// Part of the protocol: a node that is refused with it stops itself (is_removal).
constexpr std::string_view kRemoved = "was removed from the cluster";
constexpr std::string_view kNotYet = "is not known to this server yet";

bool is_server(const wire::PutNode& node) {
    return std::ranges::contains(node.roles(), "server");
}

std::string refusal_of(const wire::PutNode& node, const wire::PutMachine* machine) {
    const std::string who = std::format("node {} (machine {})", node.node_id(), node.machine());
    if (machine == nullptr) return std::format("{} {}", who, kRemoved);
    if (machine->state() != wire::MACHINE_ALLOWED) return who + " is suspended";
    if (machine->generation() != node.generation()) {
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

Registry::Registry(Rows rows)
    : cluster_id_(std::move(rows.cluster_id)), epoch_(rows.epoch), last_node_id_{rows.last_node_id} {
    for (wire::PutNode& node : rows.nodes) {
        const auto machine = std::ranges::find(rows.machines, node.machine(),
                                               [](const wire::PutMachine& row) { return row.name(); });
        std::string refusal = refusal_of(node, machine == rows.machines.end() ? nullptr : &*machine);
        const NodeId id{node.node_id()};
        nodes_[id] = {std::move(node), std::move(refusal)};
    }
}

Registry Registry::of_members(std::string cluster_id, std::vector<AdmittedNode> servers) {
    Registry registry;
    registry.cluster_id_ = std::move(cluster_id);
    for (AdmittedNode& server : servers) {
        wire::PutNode node;
        node.set_node_id(server.id.value);
        node.set_machine(std::move(server.machine));
        node.set_address(std::move(server.address));
        node.add_roles("server");
        registry.nodes_[server.id] = {std::move(node), {}};
    }
    return registry;
}

Result<AdmittedNode> Registry::check(NodeId node) const {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() && node > last_node_id_)
        return core::fail(Errc::kDenied, "node {} {}", node.value, kNotYet);
    if (found == nodes_.end()) return core::fail(Errc::kDenied, "node {} {}", node.value, kRemoved);
    const Entry& entry = found->second;
    if (!entry.refusal.empty()) return core::fail(Errc::kDenied, "{}", entry.refusal);
    return admitted_of(entry.node);
}

Result<AdmittedNode> Registry::admit(const net::crypto::Certificate& certificate) const {
    TRY_ASSIGN(const NodeIdentity identity, node_identity_of(certificate));
    if (identity.cluster_id != cluster_id_)
        return core::fail(Errc::kDenied, "the certificate is of cluster {}", identity.cluster_id);
    TRY_ASSIGN(const uint64_t generation, generation_of_certificate(certificate, cluster_id_));
    return admit(identity.node, generation);
}

Result<AdmittedNode> Registry::admit(NodeId node, uint64_t generation) const {
    TRY_ASSIGN(AdmittedNode admitted, check(node));
    const wire::PutNode& row = nodes_.at(node).node;
    // A server that was told of the members has no generations yet.
    if (epoch_ != 0 && generation != row.generation()) {
        return core::fail(Errc::kDenied, "the certificate of node {} is of generation {}, the node of {}",
                          node.value, generation, row.generation());
    }
    return admitted;
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

std::string kdc_of_server(std::string_view cluster_address, uint16_t kdc_port) {
    return std::format("{}:{}", cluster_address.substr(0, cluster_address.rfind(':')), kdc_port);
}

bool is_removal(const core::Error& refusal, NodeId self) {
    return refusal.code == Errc::kDenied && refusal.message.ends_with(kRemoved) &&
           refusal.message.starts_with(std::format("node {} ", self.value));
}

bool is_not_known_yet(const core::Error& refusal) {
    return refusal.code == Errc::kDenied && refusal.message.ends_with(kNotYet);
}

std::string generation_uri(std::string_view cluster_id, uint64_t generation) {
    return std::format("smack://{}/generation/{}", cluster_id, generation);
}

Result<uint64_t> generation_of_certificate(const net::crypto::Certificate& certificate,
                                           std::string_view cluster_id) {
    const std::string prefix = std::format("smack://{}/generation/", cluster_id);
    uint64_t generation = 0;
    bool found = false;
    for (const std::string& uri : certificate.names.uris) {
        if (!uri.starts_with(prefix)) continue;
        const char* end = uri.data() + uri.size();
        const auto [stop, error] = std::from_chars(uri.data() + prefix.size(), end, generation);
        if (found || error != std::errc() || stop != end || generation_uri(cluster_id, generation) != uri)
            return core::fail(Errc::kDenied, "the certificate's name '{}' is not one generation", uri);
        found = true;
    }
    return generation;
}

}  // namespace smackd::auth
