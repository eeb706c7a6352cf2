#include "core/ipv4.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd::core;

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
