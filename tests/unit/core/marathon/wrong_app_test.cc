// Wrong definitions: each with the status, the place that is named and a word of the rule.
#include <catch2/catch_test_macros.hpp>

#include "core/marathon/app_json.h"

namespace smackd::marathon {
namespace {

struct Wrong {
    std::string_view members;  ///< beside "id" and "cmd", unless they stand here
    int status;
    std::string_view path;
    std::string_view word;
};

// What is between the outer braces. `#` in front: the whole text, without id and cmd.
const Wrong kWrong[] = {
    // kinds
    {R"("instances": "1")", 400, "/instances", "number"},
    {R"("instances": true)", 400, "/instances", "number"},
    {R"("instances": 1.5)", 400, "/instances", "whole"},
    {R"("cpus": "1")", 400, "/cpus", "number"},
    {R"("mem": [1])", 400, "/mem", "number"},
    {R"("disk": {})", 400, "/disk", "number"},
    {R"("gpus": 0.5)", 400, "/gpus", "whole"},
    {R"("user": 1)", 400, "/user", "string"},
    {R"("tty": "yes")", 400, "/tty", "true or false"},
    {R"("env": [])", 400, "/env", "object"},
    {R"("env": {"A": 1})", 400, "/env/A", "string"},
    {R"("env": {"A": {"secret": 1}})", 400, "/env/A/secret", "string"},
    {R"("labels": {"A": true})", 400, "/labels/A", "string"},
    {R"("labels": "x")", 400, "/labels", "object"},
    {R"("fetch": {})", 400, "/fetch", "array"},
    {R"("fetch": ["http://x"])", 400, "/fetch(0)", "object"},
    {R"("uris": [1])", 400, "/uris(0)", "string"},
    {R"("ports": ["80"])", 400, "/ports(0)", "number"},
    {R"("ports": 80)", 400, "/ports", "array"},
    {R"("portDefinitions": [80])", 400, "/portDefinitions(0)", "object"},
    {R"("portDefinitions": [{"port": "80"}])", 400, "/portDefinitions(0)/port", "number"},
    {R"("requirePorts": 1)", 400, "/requirePorts", "true or false"},
    {R"("container": [])", 400, "/container", "object"},
    {R"("container": {"docker": "x"})", 400, "/container/docker", "object"},
    {R"("container": {"docker": {"image": 1}})", 400, "/container/docker/image", "string"},
    {R"("container": {"docker": {"image": "x", "parameters": [["a", "b"]]}})", 400,
     "/container/docker/parameters(0)", "object"},
    {R"("networks": {"mode": "host"})", 400, "/networks", "array"},
    {R"("healthChecks": [{"intervalSeconds": "2"}])", 400, "/healthChecks(0)/intervalSeconds", "number"},
    {R"("upgradeStrategy": 1)", 400, "/upgradeStrategy", "object"},
    {R"("constraints": ["hostname", "UNIQUE"])", 400, "/constraints(0)", "array"},
    {R"("constraints": [["hostname", 1]])", 400, "/constraints(0)", "string"},
    {R"("dependencies": "x")", 400, "/dependencies", "array"},
    {R"("args": "x")", 400, "/args", "array"},
    {R"("secrets": {"s": "x"})", 400, "/secrets/s", "object"},
    {R"("unreachableStrategy": 5)", 400, "/unreachableStrategy", "object"},
    // id
    {R"(#"cmd": "ls")", 422, "/id", "must be given"},
    {R"(#"id": "", "cmd": "ls")", 422, "/id", "empty"},
    {R"(#"id": "/", "cmd": "ls")", 422, "/id", "root"},
    {R"(#"id": "/A", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/a_b", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/a b", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/-a", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/a-", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/a..b", "cmd": "ls")", 422, "/id", "regular expression"},
    {R"(#"id": "/x/tasks", "cmd": "ls")", 422, "/id", "restart, tasks, versions"},
    {R"(#"id": "restart", "cmd": "ls")", 422, "/id", "restart, tasks, versions"},
    {R"(#"id": "versions", "cmd": "ls")", 422, "/id", "restart, tasks, versions"},
    {R"(#"id": "../../x", "cmd": "ls")", 422, "/id", "above the root"},
    {R"(#"id": "/a%2fb", "cmd": "ls")", 422, "/id", "regular expression"},
    // what runs
    {R"(#"id": "a")", 422, "/", "'cmd' or 'args'"},
    {R"(#"id": "a", "cmd": "")", 422, "/cmd", "one character"},
    {R"(#"id": "a", "cmd": "x")", 422, "/cmd", "one character"},
    {R"("args": ["x"])", 422, "/", "both 'cmd' and 'args'"},
    {R"("executor": "//other")", 422, "/executor", "//cmd"},
    {R"("cmd": "a\u0000b", "id": "a")", 422, "/cmd", "zero byte"},
    // resources
    {R"("instances": -1)", 422, "/instances", "between 0"},
    {R"("instances": 100001)", 422, "/instances", "100000"},
    {R"("cpus": 0)", 422, "/cpus", "0.001"},
    {R"("cpus": -1)", 422, "/cpus", "0.001"},
    {R"("mem": -1)", 422, "/mem", "between 0"},
    {R"("disk": -1)", 422, "/disk", "between 0"},
    {R"("gpus": -1)", 422, "/gpus", "between 0"},
    {R"("gpus": 1, "container": {"docker": {"image": "x"}})", 422, "/gpus", "MESOS"},
    {R"("cpus": 2, "resourceLimits": {"cpus": 1})", 422, "/resourceLimits/cpus", "at least cpus"},
    {R"("mem": 64, "resourceLimits": {"mem": 32})", 422, "/resourceLimits/mem", "at least mem"},
    {R"("resourceLimits": {"mem": "lots"})", 422, "/resourceLimits/mem", "unlimited"},
    // environment, secrets, fetch
    {R"("env": {"": "x"})", 422, "/env/", "empty"},
    {R"("env": {"A=B": "x"})", 422, "/env/A=B", "'='"},
    {R"("env": {"A": {"secret": "s"}})", 422, "/env/A", "undefined secret"},
    {R"("env": {"A": {}})", 422, "/env/A/secret", "must be given"},
    {R"("secrets": {"s": {}})", 422, "/secrets/s/source", "must be given"},
    {R"("secrets": {"s": {"source": ""}})", 422, "/secrets/s/source", "empty"},
    {R"("fetch": [{"extract": true}])", 422, "/fetch(0)/uri", "must be given"},
    {R"("fetch": [{"uri": "a b"}])", 422, "/fetch(0)/uri", "syntax"},
    {R"("uris": [""])", 422, "/uris(0)", "syntax"},
    {R"("uris": ["http://x"], "fetch": [{"uri": "http://y"}])", 422, "/uris", "old form"},
    // container
    {R"("container": {})", 422, "/container/docker", "type DOCKER"},
    {R"("container": {"type": "LXC"})", 422, "/container/type", "DOCKER, MESOS"},
    {R"("container": {"docker": {}})", 422, "/container/docker/image", "must be given"},
    {R"("container": {"docker": {"image": ""}})", 422, "/container/docker/image", "empty"},
    {R"("container": {"type": "MESOS", "docker": {"image": "x", "privileged": true}})", 422,
     "/container/docker/privileged", "DOCKER"},
    {R"("container": {"type": "MESOS", "docker": {"image": "x", "parameters": [{"key": "a", "value": "b"}]}})",
     422, "/container/docker/parameters", "DOCKER"},
    {R"("container": {"docker": {"image": "x", "pullConfig": {"secret": "s"}}, "type": "MESOS"})", 422,
     "/container/docker/pullConfig/secret", "undefined secret"},
    {R"("container": {"docker": {"image": "x", "pullConfig": {"secret": "s"}}}, "secrets": {"s": {"source": "s"}})",
     422, "/container/docker/pullConfig", "MESOS"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x"}]})", 422, "/container/volumes(0)",
     "exactly one"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "hostPath": "/a", "mode": "RX"}]})",
     422, "/container/volumes(0)/mode", "RO, RW"},
    {R"("container": {"type": "MESOS", "volumes": [{"hostPath": "/a"}]})", 422,
     "/container/volumes(0)/containerPath", "must be given"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "../x", "hostPath": "/a"}]})", 422,
     "/container/volumes(0)/containerPath", "'..'"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "hostPath": "a"}]})", 422,
     "/container/volumes(0)/hostPath", "absolute"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "/x", "mode": "RW", "persistent": {"size": 1}}]})",
     422, "/container/volumes(0)/containerPath", "\"/\""},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "mode": "RO", "persistent": {"size": 1}}]})",
     422, "/container/volumes(0)/mode", "RW"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "persistent": {"size": 0}}]})", 422,
     "/container/volumes(0)/persistent/size", "between 1"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "persistent": {}}]})", 422,
     "/container/volumes(0)/persistent/size", "must be given"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "persistent": {"size": 2, "maxSize": 3}}]})",
     422, "/container/volumes(0)/persistent/maxSize", "mount"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "external": {"name": "n", "provider": "z"}}]})",
     422, "/container/volumes(0)/external/provider", "dvdi, csi"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "secret": "s"}]})", 422,
     "/container/volumes(0)/secret", "undefined secret"},
    // networks and ports
    {R"("networks": [{"mode": "none"}])", 422, "/networks(0)/mode", "container/bridge"},
    {R"("networks": [{"mode": "host"}, {"mode": "host"}])", 422, "/networks", "one network"},
    {R"("networks": [{"mode": "host"}, {"mode": "container", "name": "x"}])", 422, "/networks",
     "one network"},
    {R"("networks": [{"mode": "host", "name": "x"}])", 422, "/networks(0)/name", "mode host"},
    {R"("networks": [{"mode": "host", "labels": {"a": "b"}}])", 422, "/networks(0)/labels", "mode host"},
    {R"("networks": [{"mode": "container/bridge", "name": "x"}])", 422, "/networks(0)/name",
     "container/bridge"},
    {R"("networks": [{"name": "a"}, {"name": "a"}])", 422, "/networks(1)/name", "unique"},
    {R"("networks": [{"name": "a"}, {"name": "b"}], "container": {"docker": {"image": "x"}})", 422,
     "/networks", "DOCKER"},
    {R"("networks": [{"mode": "host"}], "container": {"docker": {"image": "x", "network": "HOST"}})", 422,
     "/container/docker/network", "old form"},
    {R"("networks": [{"mode": "host"}], "ipAddress": {"networkName": "x"})", 422, "/ipAddress", "old form"},
    {R"("container": {"docker": {"image": "x", "network": "NONE"}})", 422, "/container/docker/network",
     "NONE"},
    {R"("container": {"docker": {"image": "x", "network": "bridge"}})", 422, "/container/docker/network",
     "BRIDGE"},
    {R"("container": {"docker": {"image": "x"}, "portMappings": [{"containerPort": 80}]})", 422,
     "/container/portMappings", "container/bridge"},
    {R"("networks": [{"mode": "container/bridge"}], "portDefinitions": [{"port": 80}])", 422,
     "/portDefinitions", "host networking"},
    {R"("ports": [80], "portDefinitions": [{"port": 81}])", 422, "/ports", "same ports"},
    {R"("ports": [70000])", 422, "/ports(0)", "65535"},
    {R"("ports": [-1])", 422, "/ports(0)", "65535"},
    {R"("portDefinitions": [{"port": 65536}])", 422, "/portDefinitions(0)/port", "65535"},
    {R"("portDefinitions": [{"port": 80}, {"port": 80}])", 422, "/portDefinitions", "unique"},
    {R"("portDefinitions": [{"name": "x"}, {"name": "x"}])", 422, "/portDefinitions", "names must be unique"},
    {R"("portDefinitions": [{"name": "X"}])", 422, "/portDefinitions(0)/name", "regular expression"},
    {R"("portDefinitions": [{"protocol": "sctp"}])", 422, "/portDefinitions(0)/protocol", "udp"},
    {R"("networks": [{"mode": "container/bridge"}], "container": {"docker": {"image": "x"},
        "portMappings": [{"containerPort": 99999}]})",
     422, "/container/portMappings(0)/containerPort", "65535"},
    {R"("networks": [{"mode": "container/bridge"}], "container": {"docker": {"image": "x"},
        "portMappings": [{"hostPort": 31000}, {"hostPort": 31000}]})",
     422, "/container/portMappings", "unique"},
    {R"("networks": [{"name": "a"}, {"name": "b"}], "container": {"type": "MESOS",
        "portMappings": [{"hostPort": 0}]})",
     422, "/container/portMappings(0)/networkNames", "exactly one"},
    {R"("networks": [{"name": "a"}], "container": {"type": "MESOS", "portMappings": [{"networkNames": ["z"]}]})",
     422, "/container/portMappings(0)/networkNames", "not in"},
    // checks
    {R"("healthChecks": [{"protocol": "FTP"}])", 422, "/healthChecks(0)/protocol", "COMMAND"},
    {R"("healthChecks": [{"portIndex": 1}])", 422, "/healthChecks(0)", "port indices"},
    {R"("healthChecks": [{"portIndex": 0}], "ports": [])", 422, "/healthChecks(0)", "port indices"},
    {R"("healthChecks": [{"port": 70000}])", 422, "/healthChecks(0)/port", "65535"},
    {R"("healthChecks": [{"protocol": "COMMAND"}])", 422, "/healthChecks(0)/command", "must be given"},
    {R"("healthChecks": [{"protocol": "COMMAND", "command": {}}])", 422, "/healthChecks(0)/command/value",
     "must be given"},
    {R"("healthChecks": [{"intervalSeconds": 0}])", 422, "/healthChecks(0)/intervalSeconds", "between"},
    {R"("healthChecks": [{"timeoutSeconds": -1}])", 422, "/healthChecks(0)/timeoutSeconds", "between"},
    {R"("healthChecks": [{"gracePeriodSeconds": -1}])", 422, "/healthChecks(0)/gracePeriodSeconds",
     "between"},
    {R"("healthChecks": [{"maxConsecutiveFailures": -1}])", 422, "/healthChecks(0)/maxConsecutiveFailures",
     "between"},
    {R"("healthChecks": [{"path": "/a b"}])", 422, "/healthChecks(0)/path", "printable"},
    {R"("healthChecks": [{"ipProtocol": "IPv6"}])", 422, "/healthChecks(0)/ipProtocol", "MESOS_"},
    {R"("healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}])", 422, "/healthChecks",
     "at most one"},
    {R"("check": {"http": {}, "tcp": {}})", 422, "/check", "exactly one"},
    {R"("readinessChecks": [{"portName": "none"}])", 422, "/readinessChecks(0)/portName", "none"},
    {R"("readinessChecks": [{"portName": "default"}, {"portName": "default"}])", 422, "/readinessChecks",
     "more than one"},
    {R"("readinessChecks": [{"portName": "default", "timeoutSeconds": 30}])", 422,
     "/readinessChecks(0)/timeoutSeconds", "less than interval"},
    {R"("readinessChecks": [{"portName": "default", "httpStatusCodesForReady": []}])", 422,
     "/readinessChecks(0)/httpStatusCodesForReady", "empty"},
    {R"("readinessChecks": [{"portName": "default", "httpStatusCodesForReady": [20]}])", 422,
     "/readinessChecks(0)/httpStatusCodesForReady(0)", "between 100"},
    {R"("readinessChecks": [{"portName": "default", "protocol": "TCP"}])", 422,
     "/readinessChecks(0)/protocol", "HTTPS"},
    // placement and strategies
    {R"("constraints": [["hostname"]])", 422, "/constraints(0)", "two or three"},
    {R"("constraints": [["hostname", "UNIQUE", "a", "b"]])", 422, "/constraints(0)", "two or three"},
    {R"("constraints": [["hostname", "NEAR"]])", 422, "/constraints(0)", "UNIQUE"},
    {R"("constraints": [["", "UNIQUE"]])", 422, "/constraints(0)", "field"},
    {R"("constraints": [["hostname", "UNIQUE", "x"]])", 422, "/constraints(0)", "not used"},
    {R"("constraints": [["rack", "GROUP_BY", "x"]])", 422, "/constraints(0)", "not a number"},
    {R"("constraints": [["rack", "GROUP_BY", "0"]])", 422, "/constraints(0)", "not a number"},
    {R"("constraints": [["rack", "MAX_PER"]])", 422, "/constraints(0)", "integer"},
    {R"("constraints": [["rack", "MAX_PER", "2.5"]])", 422, "/constraints(0)", "integer"},
    {R"("constraints": [["rack", "LIKE"]])", 422, "/constraints(0)", "regular expression"},
    {R"("constraints": [["rack", "LIKE", "["]])", 422, "/constraints(0)", "']'"},
    {R"("constraints": [["rack", "UNLIKE", "(a"]])", 422, "/constraints(0)", "')'"},
    {R"("constraints": [["rack", "IS"]])", 422, "/constraints(0)", "must have a value"},
    {R"("constraints": [["rack", "IS", "a b"]])", 422, "/constraints(0)", "[A-Za-z0-9"},
    {R"("acceptedResourceRoles": [])", 422, "/acceptedResourceRoles", "empty"},
    {R"("acceptedResourceRoles": ["other"])", 422, "/acceptedResourceRoles(0)", "own role"},
    {R"("role": "a/b")", 422, "/role", "'/'"},
    {R"("role": "")", 422, "/role", "empty"},
    {R"("dependencies": ["/a"])", 422, "/dependencies(0)", "itself"},
    {R"("dependencies": ["A"])", 422, "/dependencies(0)", "regular expression"},
    {R"("upgradeStrategy": {"minimumHealthCapacity": 1.1})", 422, "/upgradeStrategy/minimumHealthCapacity",
     "between 0 and 1"},
    {R"("upgradeStrategy": {"maximumOverCapacity": -0.1})", 422, "/upgradeStrategy/maximumOverCapacity",
     "between 0 and 1"},
    {R"("backoffSeconds": -1)", 422, "/backoffSeconds", "between 0"},
    {R"("backoffFactor": 0.9)", 422, "/backoffFactor", "between 1"},
    {R"("maxLaunchDelaySeconds": -1)", 422, "/maxLaunchDelaySeconds", "between 0"},
    {R"("taskKillGracePeriodSeconds": -1)", 422, "/taskKillGracePeriodSeconds", "between 0"},
    {R"("killSelection": "RANDOM")", 422, "/killSelection", "OLDEST_FIRST"},
    {R"("unreachableStrategy": "enabled")", 422, "/unreachableStrategy", "disabled"},
    {R"("unreachableStrategy": {"inactiveAfterSeconds": 10, "expungeAfterSeconds": 5})", 422,
     "/unreachableStrategy/inactiveAfterSeconds", "less than or equal"},
    {R"("container": {"type": "MESOS", "volumes": [{"containerPath": "x", "persistent": {"size": 1}}]},
        "upgradeStrategy": {"maximumOverCapacity": 1})",
     422, "/upgradeStrategy/maximumOverCapacity", "persistent"},
    {R"("labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"})", 422, "/upgradeStrategy/minimumHealthCapacity",
     "must be 0"},
    {R"("labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2,
        "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0})",
     422, "/instances", "at most 1"},
    {R"("labels": {"DCOS_MIGRATION_API_VERSION": "v2"})", 422, "/labels/DCOS_MIGRATION_API_VERSION", "v1"},
    {R"("labels": {"HAPROXY_0_PORT": "x"})", 422, "/labels/HAPROXY_0_PORT", "65535"},
    {R"("labels": {"HAPROXY_0_VHOST": "a b"})", 422, "/labels/HAPROXY_0_VHOST", "host name"},
    {R"("labels": {"HAPROXY_0_MODE": "udp"})", 422, "/labels/HAPROXY_0_MODE", "tcp or http"},
    {R"("portDefinitions": [{"labels": {"VIP_0": "nothing"}}])", 422, "/labels/VIP_0", "NAME:PORT"},
};

std::string text_of(const Wrong& wrong) {
    if (wrong.members.starts_with('#')) return "{" + std::string(wrong.members.substr(1)) + "}";
    const bool own_cmd = wrong.members.contains("\"cmd\"");
    return "{" + std::string(own_cmd ? "" : R"("id": "/a", "cmd": "ls", )") + std::string(wrong.members) +
           "}";
}

TEST_CASE("each wrong definition is refused with its status, place and rule") {
    STATIC_CHECK(std::size(kWrong) >= 150);
    for (const Wrong& wrong : kWrong) {
        const std::string text = text_of(wrong);
        INFO(text);
        const auto body = parse_body(text);
        REQUIRE(body);
        const auto app = app_from_json(*body, {});
        REQUIRE_FALSE(app);
        INFO(app.error().to_string());
        CHECK(app.error().status == wrong.status);
        CHECK(app.error().message == (wrong.status == 400 ? "Invalid JSON" : "Object is not valid"));
        bool named = false;
        for (const Violation& violation : app.error().details) {
            if (violation.path != wrong.path) continue;
            for (const std::string& error : violation.errors) named |= error.contains(wrong.word);
        }
        CHECK(named);
    }
}

TEST_CASE("the definition beside the wrong members is right") {
    CHECK(app_from_json(*parse_body(R"({"id": "/a", "cmd": "ls"})"), {}));
}

TEST_CASE("limits are named") {
    std::string env = R"({"id": "a", "cmd": "ls", "env": {)";
    for (size_t i = 0; i <= kEnvironmentMax; ++i)
        env += (i == 0 ? "\"V" : ",\"V") + std::to_string(i) + "\": \"x\"";
    CHECK(app_from_json(*parse_body(env + "}}"), {}).error().to_string().contains("at most 1024"));
    const std::string cmd = R"({"id": "a", "cmd": ")" + std::string(kTextBytesMax + 1, 'x') + "\"}";
    CHECK(app_from_json(*parse_body(cmd), {}).error().to_string().contains("at most 65536 bytes"));
    std::string labels = R"({"id": "a", "cmd": "ls", "labels": {)";
    for (int i = 0; i < 5; ++i)
        labels +=
            (i == 0 ? "\"l" : ",\"l") + std::to_string(i) + "\": \"" + std::string(kTextBytesMax, 'x') + "\"";
    CHECK(app_from_json(*parse_body(labels + "}}"), {}).error().to_string().contains("too large"));
    const std::string id = R"({"cmd": "ls", "id": "/)" + std::string(600, 'a') + "\"}";
    CHECK(app_from_json(*parse_body(id), {}).error().to_string().contains("at most 512 bytes"));
}

}  // namespace
}  // namespace smackd::marathon
