#include "tests/sim/cluster/model.h"

#include <algorithm>
#include <cstdlib>

namespace smackd::sim::cluster {
namespace {

Model::MachineRow machine_row(const wire::PutMachine& put) {
    return {put.state() == wire::MACHINE_ALLOWED, std::ranges::contains(put.roles(), "server"),
            put.generation()};
}

}  // namespace

Model::NodeRow node_row(const wire::PutNode& put) {
    return {put.machine(), put.public_key_sha256(), put.generation(), put.epoch(), put.zone()};
}

core::Result<Model> Model::read(storage::state::View& view) {
    Model model;
    TRY_ASSIGN(auto machines, view.machines());
    for (const auto& row : machines) model.machines[row.put.name()] = machine_row(row.put);
    TRY_ASSIGN(auto nodes, view.nodes());
    for (const auto& row : nodes) model.nodes[row.put.node_id()] = node_row(row.put);
    TRY_ASSIGN(model.last_node_id, view.last_node_id());
    return model;
}

void Model::follow(const std::string& kind, const std::string& key, const core::Bytes& row) {
    if (kind == "machine") {
        wire::PutMachine put;
        if (row.empty()) {
            machines.erase(key);
        } else if (put.ParseFromString(row)) {
            machines[key] = machine_row(put);
        }
    } else if (kind == "node") {
        const uint64_t id = std::strtoull(key.c_str(), nullptr, 10);
        wire::PutNode put;
        if (row.empty()) {
            nodes.erase(id);
        } else if (put.ParseFromString(row)) {
            nodes[id] = node_row(put);
            last_node_id = std::max(last_node_id, id);
        }
    }
}

bool Model::refuses(uint64_t node) const {
    const auto row = nodes.find(node);
    if (row == nodes.end()) return node <= last_node_id;
    const auto machine = machines.find(row->second.machine);
    return machine == machines.end() || !machine->second.allowed || !machine->second.server ||
           machine->second.generation != row->second.generation;
}

uint64_t Model::node_of(const std::string& machine) const {
    const auto found =
        std::ranges::find_if(nodes, [&](const auto& row) { return row.second.machine == machine; });
    return found == nodes.end() ? 0 : found->first;
}

std::string Model::zone_of(uint64_t node) const {
    const auto found = nodes.find(node);
    return found == nodes.end() ? std::string() : found->second.zone;
}

}  // namespace smackd::sim::cluster
