#include "cmd/smackd/client/server_address.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("a URL names scheme, host and port") {
    auto server = parse_url("https://n1.example.org");
    REQUIRE(server.has_value());
    CHECK(server->tls);
    CHECK(server->port == 5050);
    CHECK(server->kerberos_host == "n1.example.org");
    CHECK(server->to_string() == "https://n1.example.org:5050");

    server = parse_url("http://[::1]:80/");
    REQUIRE(server.has_value());
    CHECK_FALSE(server->tls);
    CHECK(server->host == "::1");
    CHECK(server->to_string() == "http://[::1]:80");
    CHECK(parse_url("http://[::1]")->port == 5050);
}

TEST_CASE("what is no URL of a server is refused with the rule") {
    CHECK(parse_url("localhost:5050").error().message.contains("must begin with https:// or http://"));
    CHECK(parse_url("https://a/b").error().message.contains("no path"));
    CHECK_FALSE(parse_url("https://").has_value());
    CHECK_FALSE(parse_url("https://a:0").has_value());
    CHECK_FALSE(parse_url("https://a:99999").has_value());
}

}  // namespace
}  // namespace smackd::cmd
