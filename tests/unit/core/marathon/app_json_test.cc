#include "core/marathon/app_json.h"

#include <catch2/catch_test_macros.hpp>

#include "core/wire/serialize.h"

namespace smackd::marathon {
namespace {

using core::Json;

Json json(std::string_view text) {
    auto parsed = Json::parse(text);
    INFO(text);
    REQUIRE(parsed);
    return *parsed;
}

wire::AppDefinition app(std::string_view text) {
    auto read = app_from_json(json(text), {});
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *read;
}

wire::AppDefinition updated(const wire::AppDefinition& current, std::string_view text) {
    auto read = updated_app(current, json(text), {});
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *read;
}

/// What GET prints is read as the same definition again.
void check_round_trip(const wire::AppDefinition& one) {
    auto again = app_from_json(app_to_json(one), {});
    INFO(app_to_json(one).dump_pretty());
    INFO((again ? "" : again.error().to_string()));
    REQUIRE(again);
    CHECK(app_to_json(*again) == app_to_json(one));
    CHECK(wire::serialize(*again) == wire::serialize(one));
}

TEST_CASE("an app of a command alone gets Marathon's defaults") {
    const auto one = app(R"({"id": "sleep", "cmd": "sleep 1000"})");
    CHECK(one.id() == "/sleep");
    CHECK(one.instances() == 1);
    CHECK(one.resources().cpus_milli() == 1000);
    CHECK(one.resources().memory_bytes() == 128 << 20);
    REQUIRE(one.networks_size() == 1);
    CHECK(one.networks(0).mode() == wire::NETWORK_HOST);
    REQUIRE(one.ports_size() == 1);
    CHECK(one.ports(0).name() == "default");
    check_round_trip(one);
    CHECK(app_to_json(one) ==
          json(R"({"id": "/sleep", "instances": 1, "cmd": "sleep 1000", "cpus": 1, "mem": 128,
        "disk": 0, "gpus": 0, "executor": "", "labels": {}, "networks": [{"mode": "host"}],
        "portDefinitions": [{"labels": {}, "name": "default", "port": 0, "protocol": "tcp"}], "requirePorts": false,
        "role": "*", "backoffFactor": 1.15, "backoffSeconds": 1, "maxLaunchDelaySeconds": 300,
        "killSelection": "YOUNGEST_FIRST", "upgradeStrategy": {"maximumOverCapacity": 1, "minimumHealthCapacity": 1},
        "unreachableStrategy": {"expungeAfterSeconds": 0, "inactiveAfterSeconds": 0}})"));
}

TEST_CASE("the meter of the IoT demo: docker.network and docker.portMappings") {
    const auto one = app(R"({"id": "meter", "instances": 2, "cpus": 0.1, "mem": 128,
        "container": {"type": "DOCKER", "docker": {"image": "cakesolutions/iot-demo-meter", "network": "BRIDGE",
            "portMappings": [{"containerPort": 8080, "hostPort": 0, "servicePort": 19002}]}},
        "labels": {"HAPROXY_GROUP": "external,internal"},
        "healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 30,
                          "intervalSeconds": 2}]})");
    CHECK(one.resources().cpus_milli() == 100);
    CHECK(one.networks(0).mode() == wire::NETWORK_BRIDGE);
    REQUIRE(one.ports_size() == 1);
    CHECK(one.ports(0).container_port() == 8080);
    CHECK(one.ports(0).has_host_port());
    CHECK(one.ports(0).service_port() == 19002);
    CHECK(one.health_checks(0).interval_ms() == 2000);
    CHECK(one.health_checks(0).grace_ms() == 30'000);
    const Json printed = app_to_json(one);
    CHECK(printed["networks"] == json(R"([{"mode": "container/bridge"}])"));
    CHECK(printed["container"]["portMappings"].as_array().size() == 1);
    CHECK(printed["container"]["docker"].find("network") == nullptr);
    CHECK(printed.find("portDefinitions") == nullptr);
    check_round_trip(one);
}

TEST_CASE("dependencies are relative to the app's group") {
    const auto one =
        app(R"({"id": "/shop/web", "cmd": "run", "dependencies": ["/meter", "db", "../log", "db/x"]})");
    CHECK(one.dependencies_size() == 4);
    CHECK(one.dependencies(0) == "/log");
    CHECK(one.dependencies(1) == "/meter");
    CHECK(one.dependencies(2) == "/shop/db");
}

TEST_CASE("old forms become new ones") {
    SECTION("uris") {
        const auto one = app(R"({"id": "a", "cmd": "ls", "uris": ["http://x/a.tgz?x=1", "http://x/b.jar"]})");
        REQUIRE(one.fetch_size() == 2);
        CHECK(one.fetch(0).extract());
        CHECK_FALSE(one.fetch(1).extract());
        CHECK(app_to_json(one).find("uris") == nullptr);
        check_round_trip(one);
    }
    SECTION("ports") {
        const auto one = app(R"({"id": "a", "cmd": "ls", "ports": [8080, 0], "requirePorts": true})");
        REQUIRE(one.ports_size() == 2);
        CHECK(one.ports(0).service_port() == 8080);
        CHECK(one.require_ports());
        CHECK(app(R"({"id": "a", "cmd": "ls", "ports": []})").ports_size() == 0);
        check_round_trip(one);
    }
    SECTION("ports beside equal portDefinitions") {
        const auto one = app(
            R"({"id": "a", "cmd": "ls", "ports": [80], "portDefinitions": [{"port": 80, "name": "http"}]})");
        CHECK(one.ports(0).name() == "http");
    }
    SECTION("docker.network USER with ipAddress") {
        const auto one = app(R"({"id": "a", "ipAddress": {"networkName": "dcos", "labels": {"k": "v"}},
            "container": {"docker": {"image": "x", "network": "USER", "portMappings": [{"containerPort": 80}]}}})");
        REQUIRE(one.networks_size() == 1);
        CHECK(one.networks(0).mode() == wire::NETWORK_CONTAINER);
        CHECK(one.networks(0).name() == "dcos");
        CHECK(one.networks(0).labels(0).value() == "v");
        CHECK_FALSE(one.ports(0).has_host_port());
        check_round_trip(one);
    }
    SECTION("ipAddress with discovery ports") {
        const auto one = app(R"({"id": "a", "cmd": "ls", "ipAddress": {"networkName": "n", "discovery":
            {"ports": [{"number": 9000, "name": "api", "protocol": "udp"}]}}})");
        REQUIRE(one.ports_size() == 1);
        CHECK(one.ports(0).container_port() == 9000);
        CHECK(one.ports(0).udp());
        check_round_trip(one);
    }
    SECTION("docker.network HOST, ports ignored with BRIDGE") {
        CHECK(app(R"({"id": "a", "container": {"docker": {"image": "x", "network": "HOST"}}})")
                  .networks(0)
                  .mode() == wire::NETWORK_HOST);
        CHECK(
            app(R"({"id": "a", "ports": [0], "container": {"docker": {"image": "x", "network": "BRIDGE"}}})")
                .ports(0)
                .name() == "default");
    }
}

TEST_CASE("everything an app may have survives printing and reading") {
    check_round_trip(
        app(R"({"id": "/g/all", "args": ["a", "-b"], "user": "nobody", "tty": true, "instances": 3,
        "cpus": 0.25, "mem": 64.5, "disk": 10, "executor": "", "executorResources": {"cpus": 0.2},
        "resourceLimits": {"cpus": "unlimited", "mem": 256},
        "env": {"B": "2", "A": {"secret": "s"}, "EMPTY": ""}, "secrets": {"s": {"source": "/x"}, "p": {"source": "y"}},
        "labels": {"z": "1", "a": "2"}, "fetch": [{"uri": "http://x/y.tgz", "extract": false, "destPath": "d"}],
        "container": {"type": "DOCKER", "docker": {"image": "i", "privileged": true, "forcePullImage": true,
            "parameters": [{"key": "cap-add", "value": "X"}]},
            "volumes": [{"containerPath": "/h", "hostPath": "/tmp", "mode": "RO"},
                        {"containerPath": "e", "mode": "RW", "external": {"name": "n", "provider": "dvdi", "size": 5,
                         "options": {"dvdi/driver": "rexray"}}},
                        {"containerPath": "s", "secret": "s"}],
            "portMappings": [{"containerPort": 80, "hostPort": 31000, "servicePort": 10001, "name": "http",
                              "protocol": "udp,tcp", "labels": {"VIP_0": "/all:80"}}, {"containerPort": 0}],
            "linuxInfo": {"seccomp": {"unconfined": true}, "ipcInfo": {"mode": "PRIVATE", "shmSize": 16}}},
        "networks": [{"mode": "container/bridge", "labels": {"n": "1"}}],
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/h", "portIndex": 1, "ipProtocol": "IPv6"},
                         {"protocol": "COMMAND", "command": {"value": "true"}, "delaySeconds": 1},
                         {"protocol": "TCP", "port": 81, "maxConsecutiveFailures": 0}],
        "check": {"http": {"path": "/c", "portIndex": 0}, "intervalSeconds": 5},
        "readinessChecks": [{"portName": "http", "httpStatusCodesForReady": [200, 204], "path": "/r"}],
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25, "deadlineSeconds": 600,
                            "rollbackOnDeadline": true},
        "backoffSeconds": 0.5, "backoffFactor": 2, "maxLaunchDelaySeconds": 10,
        "constraints": [["hostname", "unique"], ["rack", "GROUP_BY", "3"], ["zone", "LIKE", "a.*"]],
        "acceptedResourceRoles": ["*", "slave_public"], "dependencies": ["/db"], "taskKillGracePeriodSeconds": 20,
        "killSelection": "OLDEST_FIRST", "unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 60}
        })"));
    check_round_trip(app(R"({"id": "/r", "cmd": "ls", "container": {"type": "MESOS", "volumes": [
        {"containerPath": "data", "mode": "RW", "persistent": {"size": 100, "type": "mount", "maxSize": 200,
         "constraints": [["path", "LIKE", "/mnt/.*"]]}}]}})"));
    check_round_trip(app(R"({"id": "/n", "cmd": "ls", "networks": [{"mode": "container", "name": "a"},
        {"name": "b"}], "container": {"type": "MESOS", "portMappings": [{"containerPort": 1, "hostPort": 0,
        "networkNames": ["b"]}]}, "check": {"exec": {"command": {"shell": "true"}}}})"));
}

TEST_CASE("persistent volumes change the defaults of upgrade and unreachable strategies") {
    const auto one = app(R"({"id": "db", "cmd": "ls", "container": {"type": "MESOS", "volumes": [
        {"containerPath": "data", "mode": "RW", "persistent": {"size": 100}}]}})");
    CHECK(one.upgrade().minimum_health_capacity() == 0.5);
    CHECK(one.upgrade().maximum_over_capacity() == 0);
    CHECK(one.unreachable().disabled());
}

TEST_CASE("a partial update replaces the members it names") {
    const auto before = app(R"({"id": "/a", "cmd": "sleep 1", "instances": 2, "env": {"A": "1", "B": "2"},
                                "ports": [10001]})");
    SECTION("one number") {
        const auto after = updated(before, R"({"instances": 5})");
        CHECK(after.instances() == 5);
        CHECK(after.cmd() == "sleep 1");
        CHECK(after.ports(0).service_port() == 10001);
    }
    SECTION("an object is replaced whole") {
        const auto after = updated(before, R"({"env": {"C": "3"}})");
        REQUIRE(after.env_size() == 1);
        CHECK(after.env(0).name() == "C");
    }
    SECTION("null changes nothing") {
        CHECK(updated(before, R"({"cmd": null, "args": null})").cmd() == "sleep 1");
    }
    SECTION("args instead of cmd") {
        const auto after = updated(before, R"({"args": ["x"]})");
        CHECK(after.cmd().empty());
        CHECK(after.args(0) == "x");
    }
    SECTION("the id may be repeated, also relative, but not changed") {
        CHECK(updated(before, R"({"id": "/a", "instances": 1})").instances() == 1);
        CHECK(updated(before, R"({"id": "a", "instances": 1})").instances() == 1);
        CHECK(updated_app(before, json(R"({"id": "/b"})"), {}).error().details[0].path == "/id");
    }
    SECTION("to an image on a bridge in the old form") {
        const auto after = updated(before, R"({"container": {"docker": {"image": "x", "network": "BRIDGE",
                                               "portMappings": [{"containerPort": 80}]}}})");
        CHECK(after.networks(0).mode() == wire::NETWORK_BRIDGE);
        CHECK(after.ports(0).container_port() == 80);
    }
    SECTION("to a bridge and back") {
        const auto bridge = updated(before, R"({"networks": [{"mode": "container/bridge"}]})");
        CHECK(bridge.ports(0).name() == "default");
        const auto host = updated(bridge, R"({"networks": [{"mode": "host"}]})");
        CHECK(host.networks(0).mode() == wire::NETWORK_HOST);
    }
    SECTION("port mappings in the old place, the network stays") {
        const auto bridge = app(R"({"id": "/a", "networks": [{"mode": "container/bridge"}],
            "container": {"docker": {"image": "x"}, "portMappings": [{"containerPort": 80}]}})");
        const auto after = updated(bridge, R"({"container": {"docker": {"image": "y",
            "portMappings": [{"containerPort": 81}]}}})");
        CHECK(after.ports(0).container_port() == 81);
        CHECK(after.container().image() == "y");
    }
    SECTION("a wrong update names the place") {
        const auto wrong =
            updated_app(before, json(R"({"upgradeStrategy": {"minimumHealthCapacity": 2}})"), {});
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().status == 422);
        CHECK(wrong.error().json() == json(R"({"message": "Object is not valid", "details": [{"path":
            "/upgradeStrategy/minimumHealthCapacity", "errors": ["got 2, expected between 0 and 1"]}]})"));
    }
}

TEST_CASE("what is printed of an app is a full update that changes nothing") {
    const auto before = app(R"({"id": "/a", "cmd": "sleep 1", "container": {"docker": {"image": "x"}},
        "networks": [{"mode": "container/bridge"}], "labels": {"a": "b"}})");
    const auto after = updated_app(before, app_to_json(before), {});
    REQUIRE(after);
    CHECK(wire::serialize(*after) == wire::serialize(before));
}

TEST_CASE("a version asks for a rollback and stands alone") {
    CHECK(rollback_of(json(R"({"instances": 1})")).value() == 0);
    CHECK(rollback_of(json(R"({"version": "1970-01-01T00:00:01.500Z"})")).value() == 1500);
    CHECK(rollback_of(json(R"({"id": "/a", "version": "1970-01-01T00:00:01.500Z", "cmd": null})")).value() ==
          1500);
    CHECK(rollback_of(json(R"({"version": "1970-01-01T00:00:01.500Z", "cmd": "x"})")).error().status == 422);
    CHECK(rollback_of(json(R"({"version": "yesterday"})")).error().status == 422);
    CHECK(rollback_of(json(R"({"version": 3})")).error().status == 400);
}

TEST_CASE("text that is no JSON is Marathon's 400") {
    const auto wrong = parse_body("{\"id\": ");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().status == 400);
    CHECK(wrong.error().message == "Invalid JSON");
    CHECK(wrong.error().json()["details"].is_string());
    CHECK(app_from_json(json("[]"), {}).error().status == 400);
    CHECK(parse_body(R"({"id": "a", "id": "b"})").error().status == 400);
}

TEST_CASE("all that is wrong is told at once, and wrong kinds come first") {
    const auto rules = app_from_json(json(R"({"id": "/A", "instances": -1, "cpus": 0})"), {});
    REQUIRE_FALSE(rules);
    CHECK(rules.error().status == 422);
    CHECK(rules.error().details.size() == 4);
    const auto kinds = app_from_json(json(R"({"id": "/A", "instances": "1", "cpus": "2"})"), {});
    CHECK(kinds.error().status == 400);
    CHECK(kinds.error().message == "Invalid JSON");
}

}  // namespace
}  // namespace smackd::marathon
