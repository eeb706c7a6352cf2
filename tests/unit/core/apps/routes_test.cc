#include "core/apps/routes.h"

#include <catch2/catch_test_macros.hpp>

#include "core/apps/address.h"
#include "core/apps/service_ports.h"
#include "core/marathon/app_json.h"

namespace smackd::apps {
namespace {

wire::AppDefinition app(std::string_view text) {
    auto read = marathon::app_from_json(*core::Json::parse(text), {});
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *read;
}

/// An app with two ports, 10000 and 10001, and these labels.
wire::AppDefinition labelled(std::initializer_list<std::pair<const char*, const char*>> labels) {
    auto one = app(R"({"id": "/a", "cmd": "ls", "ports": [10000, 10001]})");
    for (const auto& [key, value] : labels) {
        wire::Label& label = *one.add_labels();
        label.set_key(key);
        label.set_value(value);
    }
    return one;
}

TEST_CASE("without a group nothing is routed") {
    CHECK(routes_of(labelled({})).routes.empty());
}

TEST_CASE("every port of an app in a group has a service port") {
    const auto routes = routes_of(labelled({{"HAPROXY_GROUP", "external, internal"}})).routes;
    REQUIRE(routes.size() == 2);
    CHECK(routes[0].groups == std::vector<std::string>{"external", "internal"});
    CHECK(routes[0].service_port == 10000);
    CHECK(routes[1].service_port == 10001);
    CHECK(routes[1].port_index == 1);
    CHECK(routes[0].mode == RouteMode::kTcp);
}

TEST_CASE("the web app of the IoT demo") {
    const auto routes =
        routes_of(app(R"({"id": "web", "container": {"docker": {"image": "w", "network": "BRIDGE",
        "portMappings": [{"containerPort": 8080, "servicePort": 19000}]}},
        "labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "p1.dcos"}})"));
    REQUIRE(routes.routes.size() == 1);
    CHECK(routes.routes[0].virtual_hosts == std::vector<std::string>{"p1.dcos"});
    CHECK(routes.routes[0].mode == RouteMode::kHttp);
    CHECK(routes.routes[0].service_port == 19000);
    CHECK(routes.warnings.empty());
    CHECK(routes.errors.empty());
}

TEST_CASE("labels of one port") {
    const auto all =
        routes_of(labelled({{"HAPROXY_1_GROUP", "internal"},
                            {"HAPROXY_1_VHOST", "A.example,b.example"},
                            {"HAPROXY_1_PATH", "-i /api /v2"},
                            {"HAPROXY_1_PORT", "9999"},
                            {"HAPROXY_1_STICKY", "true"},
                            {"HAPROXY_1_REDIRECT_TO_HTTPS", "True"},
                            {"HAPROXY_1_USE_HSTS", "false"},
                            {"HAPROXY_1_BALANCE", "leastconn"},
                            {"HAPROXY_1_AUTH", "realm:user:$1$x"},
                            {"HAPROXY_1_BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8 fd00::/8 127.0.0.1"},
                            {"HAPROXY_1_HTTP_BACKEND_PROXYPASS_PATH", "/api"},
                            {"HAPROXY_1_BIND_ADDR", "127.0.0.1"},
                            {"HAPROXY_1_SSL_CERT", "/etc/x.pem"}}));
    REQUIRE(all.errors.empty());
    REQUIRE(all.routes.size() == 1);
    const Route& route = all.routes[0];
    CHECK(route.port_index == 1);
    CHECK(route.virtual_hosts == std::vector<std::string>{"a.example", "b.example"});
    CHECK(route.paths == std::vector<std::string>{"/api", "/v2"});
    CHECK(route.paths_ignore_case);
    CHECK(route.weight == 1);
    CHECK(route.service_port == 9999);
    CHECK(route.sticky);
    CHECK(route.redirect_to_https);
    CHECK_FALSE(route.hsts);
    CHECK(route.auth->user == "user");
    CHECK(route.auth->crypted_password == "$1$x");
    CHECK(route.allowed_networks.size() == 3);
    CHECK(route.bind_address == "127.0.0.1");
    CHECK(route.certificate == "/etc/x.pem");
}

TEST_CASE("an HTTP health check makes the port an HTTP one, even against its label") {
    auto one = labelled({{"HAPROXY_GROUP", "x"}, {"HAPROXY_0_MODE", "tcp"}});
    wire::HealthCheck& check = *one.add_health_checks();
    check.set_protocol(wire::CHECK_MESOS_HTTP);
    check.set_port_index(0);
    const auto routes = routes_of(one).routes;
    CHECK(routes[0].mode == RouteMode::kHttp);
    CHECK(routes[1].mode == RouteMode::kTcp);
}

TEST_CASE("a port's own labels go before the app's") {
    const auto routes = routes_of(labelled({{"HAPROXY_GROUP", "external"},
                                            {"HAPROXY_1_GROUP", "internal"},
                                            {"HAPROXY_0_VHOST", "a.b"},
                                            {"HAPROXY_1_PORT", "9000"}}))
                            .routes;
    REQUIRE(routes.size() == 2);
    CHECK(routes[0].groups == std::vector<std::string>{"external"});
    CHECK(routes[0].mode == RouteMode::kHttp);
    CHECK(routes[1].groups == std::vector<std::string>{"internal"});
    CHECK(routes[1].service_port == 9000);
    CHECK(routes[1].mode == RouteMode::kTcp);
}

TEST_CASE("labels without effect are told, not refused") {
    const auto all = routes_of(labelled({{"HAPROXY_GROUP", "x"},
                                         {"HAPROXY_0_BACKEND_HTTP_OPTIONS", "raw"},
                                         {"HAPROXY_7_VHOST", "a"},
                                         {"HAPROXY_0_PATH", "/x"},
                                         {"HAPROXY_WHAT", "x"},
                                         {"HAPROXY_DEPLOYMENT_GROUP", "g"},
                                         {"HAPROXY_DEPLOYMENT_ALT_PORT", "10005"},
                                         {"HAPROXY_DEPLOYMENT_COLOUR", "blue"}}));
    CHECK(all.errors.empty());
    CHECK(all.warnings.size() == 4);
    CHECK(all.deployment_group == "g");
    CHECK(all.deployment_alt_port == 10005);
    CHECK(all.routes[0].paths.empty());
}

TEST_CASE("wrong values are errors of their label") {
    for (const auto& [label, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"HAPROXY_0_PORT", "0"},
             {"HAPROXY_0_PORT", "65536"},
             {"HAPROXY_0_PORT", "80x"},
             {"HAPROXY_0_VHOST", ""},
             {"HAPROXY_0_VHOST", "a/b"},
             {"HAPROXY_0_PATH", "x"},
             {"HAPROXY_0_STICKY", "maybe"},
             {"HAPROXY_0_BACKEND_WEIGHT", "heavy"},
             {"HAPROXY_0_AUTH", "realm:user"},
             {"HAPROXY_0_AUTH", "realm::x"},
             {"HAPROXY_0_BIND_ADDR", "eth0"},
             {"HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/33"},
             {"HAPROXY_DEPLOYMENT_ALT_PORT", "x"},
             {"HAPROXY_0_HTTP_BACKEND_REDIR", "x"}}) {
        const auto all = routes_of(labelled({{"HAPROXY_GROUP", "x"}, {label, value}}));
        INFO(label << "=" << value);
        REQUIRE(all.errors.size() == 1);
        CHECK(all.errors[0].label == label);
    }
}

TEST_CASE("VIP labels of ports") {
    const auto all = routes_of(app(R"({"id": "/g/a", "cmd": "ls", "portDefinitions": [
        {"labels": {"VIP_0": "/g/a:80", "VIP_1": "11.0.0.1:81"}}, {"labels": {"vip_x": "[fd01::1]:82"}, "protocol": "udp"}]})"));
    REQUIRE(all.virtual_addresses.size() == 3);
    CHECK(all.virtual_addresses[0].name == "ga");
    CHECK(all.virtual_addresses[0].port == 80);
    CHECK_FALSE(all.virtual_addresses[0].is_address);
    CHECK(all.virtual_addresses[1].is_address);
    CHECK(all.virtual_addresses[2].name == "fd01::1");
    CHECK(all.virtual_addresses[2].udp);
}

TEST_CASE("forms of addresses") {
    for (const auto* right : {"1.2.3.4", "0.0.0.0", "::", "::1", "fe80::1:2", "1:2:3:4:5:6:7:8"})
        CHECK(is_address(right));
    for (const auto* wrong :
         {"", "1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b.c.d", "1:2", ":::", "1::2::3", "12345::", "1.2.3.4/8"})
        CHECK_FALSE(is_address(wrong));
    CHECK(is_cidr("10.0.0.0/8"));
    CHECK(is_cidr("::/0"));
    CHECK_FALSE(is_cidr("10.0.0.0/"));
    CHECK_FALSE(is_cidr("::/129"));
}

TEST_CASE("service ports: the lowest free, kept over updates") {
    const ServicePorts taken = {{10000, "/x"}, {10002, "/y"}};
    auto one = app(R"({"id": "/a", "cmd": "ls", "ports": [0, 10001, 0]})");
    REQUIRE(assign_service_ports(one, nullptr, taken));
    CHECK(one.ports(0).service_port() == 10003);
    CHECK(one.ports(1).service_port() == 10001);
    CHECK(one.ports(2).service_port() == 10004);
    auto next = app(R"({"id": "/a", "cmd": "ls", "ports": [0, 0, 0, 0]})");
    REQUIRE(assign_service_ports(next, &one, taken));
    CHECK(next.ports(0).service_port() == 10003);
    CHECK(next.ports(1).service_port() == 10001);
    CHECK(next.ports(3).service_port() == 10005);
    CHECK(service_port_conflicts(next, taken).empty());
    const auto wrong = app(R"({"id": "/a", "cmd": "ls", "ports": [10002]})");
    REQUIRE(service_port_conflicts(wrong, taken).size() == 1);
    CHECK(service_port_conflicts(wrong, taken)[0].app_id == "/y");
}

TEST_CASE("no service port is left") {
    ServicePorts taken;
    for (uint16_t port = kServicePortFirst; port <= kServicePortLast; ++port) taken[port] = "/x";
    auto one = app(R"({"id": "/a", "cmd": "ls"})");
    CHECK(assign_service_ports(one, nullptr, taken).error().code == core::Errc::kBusy);
    taken.erase(kServicePortLast);
    REQUIRE(assign_service_ports(one, nullptr, taken));
    CHECK(one.ports(0).service_port() == kServicePortLast);
}

}  // namespace
}  // namespace smackd::apps
