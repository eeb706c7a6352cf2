#include "core/ingress/routes.h"

#include <catch2/catch_test_macros.hpp>

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

struct Served {
    std::vector<std::string> groups{};
    uint32_t service_port = 0;
    std::vector<std::string> hosts{};
    std::vector<std::string> paths{""};
    int32_t weight = 0;
};

void add_app(wire::EdgeTable& table, const std::string& id, const Served& served) {
    wire::EdgeApp& app = *table.add_apps();
    app.set_id(id);
    wire::EdgePort& port = *app.add_ports();
    port.set_service_port(served.service_port);
    port.set_http(!served.hosts.empty());
    for (const std::string& group : served.groups) port.add_groups(group);
    for (const std::string& host : served.hosts) {
        for (const std::string& path : served.paths) {
            wire::EdgeRoute& route = *port.add_routes();
            route.set_host(host);
            route.set_path(path);
            route.set_weight(served.weight);
        }
    }
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
    add_app(of, "/web", {.groups = {"external"}, .hosts = {"p1.dcos", "*.example.org"}});
    add_app(of, "/api",
            {.groups = {"external"}, .hosts = {"p1.dcos"}, .paths = {"/api", "/v2/x"}, .weight = 1});
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
    add_app(of, "/meter", {.groups = {"external", "internal"}, .service_port = 19002});
    add_app(of, "/other", {.groups = {"else"}, .service_port = 19003});
    add_app(of, "/none", {.service_port = 19004});
    const auto routes = build(of);
    CHECK(routes->listeners.at("10.0.0.1:19002").pool->app == "/meter");
    CHECK(routes->listeners.at("172.16.0.1:19002").pool->app == "/meter");
    CHECK(routes->listeners.size() == 4);
}

TEST_CASE("of two apps with one port or name the one with the lower id has it") {
    wire::EdgeTable of = table();
    add_app(of, "/b", {.groups = {"external"}, .service_port = 19002, .hosts = {"x.y"}});
    add_app(of, "/a", {.groups = {"external"}, .service_port = 19002, .hosts = {"x.y"}});
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
