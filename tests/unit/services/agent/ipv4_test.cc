#include "services/agent/ipv4.h"

#include <catch2/catch_test_macros.hpp>

#include "services/agent/bridge_rules.h"
#include "services/agent/subnet.h"

using namespace smackd;
using namespace smackd::agent;

TEST_CASE("addresses are four decimal numbers") {
    CHECK(parse_ipv4("10.88.0.1") == 0x0a580001U);
    CHECK(parse_ipv4("255.255.255.255") == 0xffffffffU);
    CHECK(format_ipv4(0x0a580001U) == "10.88.0.1");
    for (const char* text :
         {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..3.4", "1.2.3.4 ", "1.2.3.-4", "a.b.c.d"})
        CHECK_FALSE(parse_ipv4(text));
}

TEST_CASE("prefixes have no bits behind their length") {
    const auto prefix = parse_ipv4_prefix("10.88.4.0/22");
    REQUIRE(prefix);
    CHECK(prefix->contains(*parse_ipv4("10.88.7.255")));
    CHECK_FALSE(prefix->contains(*parse_ipv4("10.88.8.0")));
    CHECK(format_ipv4(prefix->last()) == "10.88.7.255");
    CHECK(parse_ipv4_prefix("1.2.3.4")->length == 32);
    CHECK(parse_ipv4_prefix("0.0.0.0/0")->contains(0xffffffffU));
    for (const char* text : {"10.88.4.1/22", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "/8"})
        CHECK_FALSE(parse_ipv4_prefix(text));
}

TEST_CASE("a subnet for tasks overlaps no route") {
    const auto routes = parse_routes(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000400A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "short line\n");
    REQUIRE(routes.size() == 1);
    CHECK(routes[0] == *parse_ipv4_prefix("10.64.0.0/16"));
    CHECK(*free_subnet("00000000", routes) == *parse_ipv4_prefix("10.65.0.0/24"));
    CHECK(*free_subnet("00000000", {}) == *parse_ipv4_prefix("10.64.0.0/24"));
    CHECK(free_subnet("0badcafe", {})->length == 24);
    CHECK(free_subnet("0badcafe", {*parse_ipv4_prefix("10.0.0.0/8")}).error().code == core::Errc::kBusy);
}

TEST_CASE("blocked prefixes are joined where they touch, and have the metadata addresses") {
    const auto ranges = blocked_ranges({"10.0.0.0/25", "10.0.0.128/25", "10.0.0.64/26", "255.255.255.255"});
    REQUIRE(ranges);
    REQUIRE(ranges->size() == 4);
    CHECK((*ranges)[0] == std::pair(*parse_ipv4("10.0.0.0"), *parse_ipv4("10.0.0.255")));
    CHECK((*ranges)[1].first == *parse_ipv4("100.100.100.200"));
    CHECK((*ranges)[2] == std::pair(*parse_ipv4("169.254.0.0"), *parse_ipv4("169.254.255.255")));
    CHECK((*ranges)[3].second == UINT32_MAX);
    CHECK(blocked_ranges({"0.0.0.0/0"})->size() == 1);
    CHECK(blocked_ranges({"nonsense"}).error().code == core::Errc::kInvalid);
    CHECK(*node_ports({443, 80, 443}) == std::vector<uint16_t>{80, 443});
    CHECK(node_ports({0}).error().code == core::Errc::kInvalid);
    CHECK(task_device("0badcafe", *parse_ipv4("10.88.3.254")) == "v0badcafex03fe");
}
