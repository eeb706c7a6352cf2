#include "core/apps/overlay.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::apps {
namespace {

struct Cluster {
    std::map<uint64_t, wire::PutNode> nodes;
    std::map<uint64_t, wire::NodeCapacity> capacities;
    std::map<std::string, wire::PutMachine> machines;

    wire::NodeCapacity& add(uint64_t id, const std::string& subnet) {
        const std::string name = "n" + std::to_string(id);
        nodes[id].set_node_id(id);
        nodes[id].set_machine(name);
        machines[name].set_name(name);
        machines[name].set_state(wire::MACHINE_ALLOWED);
        wire::NodeCapacity& capacity = capacities[id];
        capacity.set_node_id(id);
        capacity.set_address("192.168.0." + std::to_string(id));
        capacity.set_task_subnet(subnet);
        change(id, [](wire::NodeNetwork& network) { network.set_vxlan_port(4789); });
        return capacity;
    }
    template <class Change>
    void change(uint64_t id, Change change) {
        wire::NodeNetwork network = network_of(capacities[id]);
        change(network);
        // Anew, as a node tells it: what is set twice would be there twice.
        wire::NodeCapacity row;
        row.set_node_id(id);
        row.set_address(capacities[id].address());
        row.set_task_subnet(capacities[id].task_subnet());
        set_network(row, network);
        capacities[id] = std::move(row);
    }
    OverlayRows rows() const { return {nodes, capacities, machines}; }
    Overlay seen_by(uint64_t id) const { return overlay_of(rows(), core::NodeId{id}); }
};

TEST_CASE("no two nodes have the same subnet: the one that is longer here keeps it") {
    Cluster cluster;
    cluster.add(3, "10.64.1.0/24");
    cluster.add(1, "10.64.1.0/24");
    cluster.add(2, "10.64.2.0/24");
    const auto subnets = task_subnets(cluster.rows());
    CHECK(subnets.size() == 2);
    CHECK(subnets.at(1) == *core::parse_ipv4_prefix("10.64.1.0/24"));
    CHECK_FALSE(subnets.contains(3));
    CHECK(cluster.seen_by(3).subnet_lost);
    CHECK(cluster.seen_by(3).peers.empty());
    CHECK_FALSE(cluster.seen_by(1).subnet_lost);
    CHECK(cluster.seen_by(1).peers.size() == 1);
    // It chooses another one; or the first one goes, and it has it.
    cluster.capacities[3].set_task_subnet("10.64.3.0/24");
    CHECK(cluster.seen_by(1).peers.size() == 2);
    cluster.capacities[3].set_task_subnet("10.64.1.0/24");
    cluster.nodes.erase(1);
    CHECK(task_subnets(cluster.rows()).contains(3));
    // Lengths that are not ours are nobody's.
    cluster.capacities[2].set_task_subnet("10.64.0.0/16");
    CHECK(task_subnets(cluster.rows()).size() == 1);
    cluster.capacities[2].set_task_subnet("nonsense");
    CHECK(task_subnets(cluster.rows()).size() == 1);
}

TEST_CASE("a node that is removed or suspended is nobody's peer") {
    Cluster cluster;
    for (const uint64_t id : {1U, 2U, 3U}) cluster.add(id, "10.64." + std::to_string(id) + ".0/24");
    CHECK(cluster.seen_by(1).peers.size() == 2);
    CHECK(cluster.seen_by(1).peers.at(2).subnet() == "10.64.2.0/24");
    CHECK(cluster.seen_by(1).peers.at(2).address() == "192.168.0.2");
    cluster.machines["n2"].set_state(wire::MACHINE_SUSPENDED);
    CHECK_FALSE(cluster.seen_by(1).peers.contains(2));
    CHECK(cluster.seen_by(2).peers.empty());
    cluster.machines["n2"].set_state(wire::MACHINE_ALLOWED);
    cluster.nodes.erase(3);
    CHECK_FALSE(cluster.seen_by(1).peers.contains(3));
    CHECK(cluster.seen_by(4).peers.empty());
}

TEST_CASE(
    "packets are encrypted between nodes that both can, and do not pass in the clear where one forbids it") {
    Cluster cluster;
    for (const uint64_t id : {1U, 2U, 3U}) cluster.add(id, "10.64." + std::to_string(id) + ".0/24");
    for (const uint64_t id : {1U, 2U}) {
        cluster.change(id, [&](wire::NodeNetwork& network) {
            network.set_wireguard_key(std::string(32, static_cast<char>(id)));
            network.set_wireguard_port(51820);
        });
    }
    CHECK(cluster.seen_by(1).peers.at(2).wireguard_key() == std::string(32, 2));
    CHECK(cluster.seen_by(1).peers.at(3).wireguard_key().empty());
    CHECK(cluster.seen_by(3).peers.at(1).wireguard_key().empty());
    cluster.change(1, [](wire::NodeNetwork& network) { network.set_encrypted_only(true); });
    CHECK(cluster.seen_by(1).peers.contains(2));
    CHECK_FALSE(cluster.seen_by(1).peers.contains(3));
    CHECK_FALSE(cluster.seen_by(3).peers.contains(1));
    REQUIRE(cluster.seen_by(3).problems.size() == 1);
    CHECK(cluster.seen_by(3).problems[0].contains("tasks of n1"));
    CHECK(cluster.seen_by(3).problems[0].contains("WireGuard"));
}

TEST_CASE("why a node's tasks are not reached is told") {
    Cluster cluster;
    for (const uint64_t id : {1U, 2U, 3U, 4U}) cluster.add(id, "10.64." + std::to_string(id) + ".0/24");
    cluster.change(2, [](wire::NodeNetwork& network) { network.set_vxlan_port(0); });
    cluster.capacities[3].set_address("fd00::3");
    cluster.capacities[4].set_address("192.168.0.1");
    const Overlay seen = cluster.seen_by(1);
    CHECK(seen.peers.empty());
    REQUIRE(seen.problems.size() == 3);
    CHECK(seen.problems[0].contains("tasks of n2"));
    CHECK(seen.problems[1].contains("fd00::3"));
    CHECK(seen.problems[2].contains("the address of node 1"));
    // A node that takes no part has no peers and nothing to tell.
    CHECK(cluster.seen_by(2).peers.empty());
    CHECK(cluster.seen_by(2).problems.empty());
}

TEST_CASE("what a node tells of its network goes with its capacity, and through those who do not know it") {
    wire::NodeCapacity capacity;
    capacity.set_node_id(7);
    capacity.set_task_subnet("10.64.7.0/24");
    wire::NodeNetwork network;
    network.set_vxlan_port(4789);
    network.add_problems("one");
    set_network(capacity, network);
    wire::NodeCapacity read;
    REQUIRE(read.ParseFromString(capacity.SerializeAsString()));
    CHECK(read.node_id() == 7);
    CHECK(read.task_subnet() == "10.64.7.0/24");
    CHECK(network_of(read).SerializeAsString() == network.SerializeAsString());
    CHECK(network_of(wire::NodeCapacity()).vxlan_port() == 0);
}

TEST_CASE("a cluster's packets have a number of their own") {
    CHECK(overlay_vni("abc") != overlay_vni("abd"));
    CHECK(overlay_vni("abc") <= 0xffffff);
    CHECK(overlay_vni("abc") != 0);
}

}  // namespace
}  // namespace smackd::apps
