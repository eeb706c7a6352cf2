#include "core/ingress/routes.h"

#include <catch2/catch_test_macros.hpp>

#include "core/ingress/labels.h"

namespace smackd::core::ingress {
namespace {

void add_task(wire::EdgeTable& table, const std::string& id, const std::string& app, uint32_t port) {
    wire::EdgeTask& task = *table.add_tasks();
    task.set_id(id);
    task.set_app(app);
    task.set_running(true);
    task.add_host_addresses("10.0.0.1");
    task.add_ports()->set_host_port(port);
}

wire::EdgeApp& add_app(wire::EdgeTable& table, const std::string& id,
                       const std::map<std::string, std::string>& labels, uint32_t service_port) {
    wire::EdgeApp& app = *table.add_apps();
    app.set_id(id);
    auto ports = ports_from_labels(labels, {{service_port, false}});
    REQUIRE(ports);
    for (wire::EdgePort& port : *ports) *app.add_ports() = std::move(port);
    return app;
}

wire::EdgeTable table() {
    wire::EdgeTable table;
    wire::EdgeGroup& external = *table.mutable_settings()->add_groups();
    external.set_name("external");
    external.add_bind_addresses("10.0.0.1");
    external.add_http_listeners("10.0.0.1:80");
    external.add_https_listeners("10.0.0.1:443");
    wire::EdgeGroup& internal = *table.mutable_settings()->add_groups();
    internal.set_name("internal");
    internal.add_bind_addresses("10.0.0.1");
    internal.add_bind_addresses("172.16.0.1");
    return table;
}

std::shared_ptr<const Routes> build(const wire::EdgeTable& of, std::vector<std::string>* told = nullptr) {
    EdgeState state;
    REQUIRE(state.replace(of));
    std::vector<std::string> problems;
    auto routes = build_routes(state, problems);
    if (told != nullptr) *told = problems;
    if (told == nullptr) CHECK(problems.empty());
    return routes;
}

TEST_CASE("virtual hosts and paths lead to pools; longer paths first") {
    wire::EdgeTable of = table();
    add_app(of, "/web", {{"HAPROXY_GROUP", "external"}, {"HAPROXY_0_VHOST", "P1.dcos,*.example.org"}}, 0);
    add_app(of, "/api",
            {{"HAPROXY_GROUP", "external"}, {"HAPROXY_0_VHOST", "p1.dcos"}, {"HAPROXY_0_PATH", "/api /v2/x"}},
            0);
    add_task(of, "t1", "/web", 31001);
    add_task(of, "t2", "/web", 31002);
    const auto routes = build(of);
    const VirtualHosts& hosts = *routes->listeners.at("10.0.0.1:80").hosts;
    CHECK(hosts.find("p1.dcos", "/")->app == "/web");
    CHECK(hosts.find("p1.dcos", "/api/users")->app == "/api");
    CHECK(hosts.find("p1.dcos", "/v2/x")->app == "/api");
    CHECK(hosts.find("p1.dcos", "/v2")->app == "/web");
    CHECK(hosts.find("a.example.org", "/")->app == "/web");
    CHECK(hosts.find("a.b.example.org", "/") == nullptr);
    CHECK(hosts.find("example.org", "/") == nullptr);
    CHECK(hosts.find("p1.dcos", "/")->backends.size() == 2);
    CHECK(hosts.find("p1.dcos", "/")->backends[0].address == "10.0.0.1:31001");
    CHECK(routes->listeners.at("10.0.0.1:443").tls);
    CHECK(routes->listeners.at("10.0.0.1:80").https_port == 443);
}

TEST_CASE("a service port in both groups is one listener on each address; other groups have none") {
    wire::EdgeTable of = table();
    add_app(of, "/meter", {{"HAPROXY_GROUP", "external,internal"}}, 19002);
    add_app(of, "/other", {{"HAPROXY_GROUP", "else"}}, 19003);
    add_app(of, "/none", {}, 19004);
    const auto routes = build(of);
    CHECK(routes->listeners.at("10.0.0.1:19002").pool->app == "/meter");
    CHECK(routes->listeners.at("172.16.0.1:19002").pool->app == "/meter");
    CHECK(routes->listeners.size() == 4);
}

TEST_CASE("of two apps with one port or name the one with the lower id has it") {
    wire::EdgeTable of = table();
    add_app(of, "/b", {{"HAPROXY_GROUP", "external"}, {"HAPROXY_0_VHOST", "x.y"}}, 19002);
    add_app(of, "/a", {{"HAPROXY_GROUP", "external"}, {"HAPROXY_0_VHOST", "x.y"}}, 19002);
    std::vector<std::string> problems;
    const auto routes = build(of, &problems);
    CHECK(problems.size() == 2);
    CHECK(routes->listeners.at("10.0.0.1:19002").pool->app == "/a");
    CHECK(routes->listeners.at("10.0.0.1:80").hosts->find("x.y", "/")->app == "/a");
}

TEST_CASE("backends are tasks that run and are well; their addresses by marathon-lb's rule") {
    wire::EdgeTask task;
    task.set_running(true);
    task.add_host_addresses("10.0.0.1");
    wire::EdgeTaskPort& port = *task.add_ports();
    port.set_host_port(31001);
    port.set_container_port(80);
    CHECK(backend_address(task, 0) == "10.0.0.1:31001");
    task.add_addresses("fd00::5");
    CHECK(backend_address(task, 0) == "[fd00::5]:80");
    port.set_backend("127.0.0.1:9");
    CHECK(backend_address(task, 0) == "127.0.0.1:9");
    CHECK(backend_address(task, 1).empty());
    CHECK(takes_requests(task));
    task.set_health(wire::EdgeTask::PENDING);
    CHECK_FALSE(takes_requests(task));
    task.set_health(wire::EdgeTask::HEALTHY);
    task.set_draining(true);
    CHECK_FALSE(takes_requests(task));
}

TEST_CASE("labels that mean nothing are refused with their name") {
    auto error = [](const std::map<std::string, std::string>& labels) {
        auto ports = ports_from_labels(labels, {{0, false}});
        return ports ? std::string("no error") : ports.error().message;
    };
    CHECK(error({{"HAPROXY_0_MODE", "udp"}}) == "label HAPROXY_0_MODE: 'udp' is neither tcp nor http");
    CHECK(error({{"HAPROXY_0_PATH", "/x"}}) == "label HAPROXY_0_PATH needs HAPROXY_0_VHOST");
    CHECK(error({{"HAPROXY_0_VHOST", "a b/c"}}).contains("'b/c' is no host name"));
    CHECK(error({{"HAPROXY_0_PORT", "70000"}}).contains("HAPROXY_0_PORT"));
    CHECK(error({{"HAPROXY_0_STICKY", "maybe"}}).contains("HAPROXY_0_STICKY"));
    CHECK(error({{"HAPROXY_0_BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/99"}}).contains("ALLOWED_ACL"));
    CHECK(error({{"HAPROXY_0_BACKEND_HTTP_OPTIONS", "any"}}) == "no error");
}

TEST_CASE("a port's own labels go before the app's") {
    auto ports = ports_from_labels({{"HAPROXY_GROUP", "external"},
                                    {"HAPROXY_1_GROUP", "internal"},
                                    {"HAPROXY_2_ENABLED", "false"},
                                    {"HAPROXY_0_VHOST", "a.b"},
                                    {"HAPROXY_1_PORT", "9000"}},
                                   {{10001, false}, {10002, true}, {10003, false}});
    REQUIRE(ports);
    CHECK((*ports)[0].groups(0) == "external");
    CHECK((*ports)[0].http());
    CHECK((*ports)[1].groups(0) == "internal");
    CHECK((*ports)[1].service_port() == 9000);
    CHECK((*ports)[1].http());
    CHECK((*ports)[2].groups_size() == 0);
}

TEST_CASE("networks") {
    Pool pool;
    CHECK(pool.allows(*IpAddress::parse("1.2.3.4")));
    pool.allowed_sources = {*IpNetwork::parse("10.0.0.0/9"), *IpNetwork::parse("fd00::/8")};
    CHECK(pool.allows(*IpAddress::parse("10.127.1.1")));
    CHECK(pool.allows(*IpAddress::parse("::ffff:10.1.1.1")));
    CHECK_FALSE(pool.allows(*IpAddress::parse("10.128.1.1")));
    CHECK(pool.allows(*IpAddress::parse("fd12::1")));
    CHECK_FALSE(IpNetwork::parse("10.0.0.0/33"));
    CHECK_FALSE(IpNetwork::parse("10.0.0.0/"));
}

}  // namespace
}  // namespace smackd::core::ingress
