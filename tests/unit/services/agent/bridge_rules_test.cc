#include "services/agent/bridge_rules.h"

#include <catch2/catch_test_macros.hpp>

#include "services/agent/subnet.h"

using namespace smackd;
using namespace smackd::agent;

TEST_CASE("a subnet for tasks overlaps no route") {
    const auto routes = parse_routes(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000400A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "short line\n");
    REQUIRE(routes.size() == 1);
    CHECK(routes[0] == *core::parse_ipv4_prefix("10.64.0.0/16"));
    const core::Ipv4Prefix network = *core::parse_ipv4_prefix("10.64.0.0/10");
    CHECK(*free_subnet(network, "00000000", routes) == *core::parse_ipv4_prefix("10.65.0.0/24"));
    CHECK(*free_subnet(network, "00000000", {}) == *core::parse_ipv4_prefix("10.64.0.0/24"));
    CHECK(free_subnet(network, "0badcafe", {})->length == 24);
    CHECK(free_subnet(network, "0badcafe", {*core::parse_ipv4_prefix("10.0.0.0/8")}).error().code ==
          core::Errc::kBusy);
}

TEST_CASE("blocked prefixes are joined where they touch, and have the metadata addresses") {
    const auto ranges = blocked_ranges({"10.0.0.0/25", "10.0.0.128/25", "10.0.0.64/26", "255.255.255.255"});
    REQUIRE(ranges);
    REQUIRE(ranges->size() == 4);
    CHECK((*ranges)[0] == std::pair(*core::parse_ipv4("10.0.0.0"), *core::parse_ipv4("10.0.0.255")));
    CHECK((*ranges)[1].first == *core::parse_ipv4("100.100.100.200"));
    CHECK((*ranges)[2] == std::pair(*core::parse_ipv4("169.254.0.0"), *core::parse_ipv4("169.254.255.255")));
    CHECK((*ranges)[3].second == UINT32_MAX);
    CHECK(blocked_ranges({"0.0.0.0/0"})->size() == 1);
    CHECK(blocked_ranges({"nonsense"}).error().code == core::Errc::kInvalid);
    CHECK(*node_ports({443, 80, 443}) == std::vector<uint16_t>{80, 443});
    CHECK(node_ports({0}).error().code == core::Errc::kInvalid);
    CHECK(task_device("0badcafe", *core::parse_ipv4("10.88.3.254")) == "v0badcafex03fe");
}

TEST_CASE("peers whose subnet the machine uses otherwise are left out and told") {
    const auto prefix = [](const char* text) { return *core::parse_ipv4_prefix(text); };
    OverlayNetwork network;
    network.peers = {{.name = "n2", .subnet = prefix("10.64.2.0/24")},
                     {.name = "n3", .subnet = prefix("10.64.3.0/24")},
                     {.name = "n4", .subnet = prefix("10.64.1.0/24")}};
    const auto problems = drop_overlapping(network, prefix("10.64.1.0/24"),
                                           {prefix("10.64.3.128/25"), prefix("192.168.0.0/16")});
    REQUIRE(network.peers.size() == 1);
    CHECK(network.peers[0].name == "n2");
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].contains("tasks of n3"));
    CHECK(problems[0].contains("10.64.3.128/25"));
    CHECK(problems[1].contains("tasks of n4"));
}

TEST_CASE("what is said of other nodes is checked") {
    wire::LauncherNetwork said;
    CHECK(parse_network(said)->vni == 0);
    said.set_vni(7);
    said.set_port(4789);
    said.set_address("192.168.0.1");
    wire::NetworkPeer& peer = *said.add_peers();
    peer.set_subnet("10.64.2.0/24");
    peer.set_address("192.168.0.2");
    peer.set_port(4789);
    REQUIRE(parse_network(said));
    CHECK(parse_network(said)->peers[0].gateway() == *core::parse_ipv4("10.64.2.1"));
    CHECK(parse_network(said)->peers[0].underlay() == *core::parse_ipv4("10.64.2.254"));
    peer.set_wireguard_key("short");
    peer.set_wireguard_port(51820);
    CHECK(parse_network(said).error().message.contains("wireguard_key"));
    peer.set_wireguard_key(std::string(32, 'k'));
    CHECK(parse_network(said)->peers[0].encrypted());
    peer.set_port(0);
    CHECK(parse_network(said).error().message.contains("peers.port"));
    said.set_vni(1U << 24U);
    CHECK(parse_network(said).error().message.contains("24 bits"));
}

TEST_CASE("routes that the agent made are not in its way") {
    const std::string text =
        "smk0badcafe\ta\nsmx0badcafe\tb\nsmw0badcafe\tc\nv0badcafex0002\td\nsmkffffffff\te\neth0\tf\n";
    CHECK(routes_without("0badcafe", text) == "smkffffffff\te\neth0\tf\n");
}
