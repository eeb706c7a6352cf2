#include "services/apps/task_spec.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "core/marathon/app_json.h"
#include "services/apps/health.h"

using namespace smackd;

namespace {

wire::AppDefinition app_of(const char* text) {
    auto json = core::Json::parse(text);
    REQUIRE(json);
    auto app = marathon::app_from_json(*json, {});
    REQUIRE(app);
    return *app;
}

wire::Task task_of(const wire::AppDefinition& app, std::initializer_list<uint32_t> ports) {
    wire::Task task;
    task.set_id("web.instance-1._app.1");
    task.set_app_id(app.id());
    task.set_machine("n1");
    for (const uint32_t port : ports) task.add_host_ports(port);
    return task;
}

std::map<std::string, std::string> variables(const wire::TaskSpec& spec) {
    std::map<std::string, std::string> map;
    for (const auto& variable : spec.environment()) map[variable.name()] = variable.value();
    return map;
}

}  // namespace

TEST_CASE("a command sees Marathon's variables, its own win") {
    const auto app =
        app_of(R"({"id": "/web", "cmd": "run", "cpus": 0.5, "mem": 64, "env": {"HOST": "mine", "X": "1"},
        "labels": {"tier-1": "front"}, "portDefinitions": [{"port": 10001, "name": "http-api"}, {"port": 0}]})");
    services::SpecFacts facts;
    facts.sandbox = "/s";
    const auto spec = services::spec_of(task_of(app, {31005, 31006}), app, facts);
    REQUIRE(spec);
    CHECK(spec->shell() == "run");
    auto env = variables(*spec);
    CHECK(env["PORT"] == "31005");
    CHECK(env["PORT0"] == "31005");
    CHECK(env["PORT1"] == "31006");
    CHECK(env["PORTS"] == "31005,31006");
    CHECK(env["PORT_10001"] == "31005");
    CHECK(env["PORT_HTTP_API"] == "31005");
    CHECK(env["HOST"] == "mine");
    CHECK(env["X"] == "1");
    CHECK(env["MARATHON_APP_ID"] == "/web");
    CHECK(env["MARATHON_APP_RESOURCE_CPUS"] == "0.5");
    CHECK(env["MARATHON_APP_RESOURCE_MEM"] == "64.0");
    CHECK(env["MARATHON_APP_LABEL_TIER_1"] == "front");
    CHECK(env["MESOS_SANDBOX"] == "/mnt/mesos/sandbox");
    CHECK(spec->network().mode() == wire::TaskNetwork::HOST);
    CHECK(spec->limits().memory_bytes() == 64U << 20U);
}

TEST_CASE("an image brings entrypoint, command, variables and user; the app's args replace its command") {
    core::images::ImageConfig config;
    config.entrypoint = {"/entry"};
    config.cmd = {"default"};
    config.environment = {"LANG=C", "PORT0=no"};
    config.user = "1000:1000";
    config.working_directory = "/srv";
    services::SpecFacts facts;
    facts.image = &config;
    facts.layers = {"/layers/1"};
    const auto plain =
        app_of(R"({"id": "/i", "container": {"type": "DOCKER", "docker": {"image": "x", "network": "BRIDGE",
        "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "udp,tcp"}]}}})");
    auto spec = services::spec_of(task_of(plain, {31001}), plain, facts);
    REQUIRE(spec);
    CHECK(spec->arguments().words_size() == 2);
    CHECK(spec->arguments().words(1) == "default");
    CHECK(spec->user() == "1000:1000");
    CHECK(spec->working_directory() == "/srv");
    CHECK(variables(*spec)["LANG"] == "C");
    CHECK(variables(*spec)["PORT0"] == "31001");
    REQUIRE(spec->network().ports_size() == 2);
    CHECK(spec->network().ports(0).task_port() == 80);
    CHECK(spec->network().ports(1).protocol() == wire::PublishedPort::UDP);
    const auto with_args = app_of(R"({"id": "/i", "args": ["a", "b"], "user": "nobody",
        "container": {"type": "DOCKER", "docker": {"image": "x"}}})");
    spec = services::spec_of(task_of(with_args, {31001}), with_args, facts);
    REQUIRE(spec);
    CHECK(spec->arguments().words_size() == 3);
    CHECK(spec->arguments().words(2) == "b");
    CHECK(spec->user() == "nobody");
}

TEST_CASE("what cannot be done is refused, not left out") {
    services::SpecFacts facts;
    const auto secret = app_of(
        R"({"id": "/s", "cmd": "run", "env": {"P": {"secret": "p"}}, "secrets": {"p": {"source": "x"}}})");
    const auto refused = services::spec_of(task_of(secret, {1}), secret, facts);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::Errc::kUnsupported);
}

TEST_CASE("ends read as Mesos says them") {
    wire::TaskExited exited;
    CHECK(services::status_of_exit(exited).state() == wire::TASK_FINISHED);
    exited.set_code(7);
    CHECK(services::status_of_exit(exited).state() == wire::TASK_FAILED);
    exited.set_reason(wire::TaskExited::OUT_OF_MEMORY);
    exited.set_signal(9);
    CHECK(services::status_of_exit(exited).reason() == "REASON_CONTAINER_LIMITATION_MEMORY");
    exited.set_reason(wire::TaskExited::KILLED);
    CHECK(services::status_of_exit(exited).state() == wire::TASK_KILLED);
}

TEST_CASE("failures count after the grace period or the first success") {
    wire::HealthCheck check;
    check.set_grace_ms(1000);
    check.set_max_consecutive_failures(2);
    wire::HealthResult result;
    result = services::next_result(result, check, "refused", 0, 500);
    CHECK(result.consecutive_failures() == 0);
    result = services::next_result(result, check, "refused", 0, 1500);
    CHECK(result.consecutive_failures() == 1);
    auto alive = services::next_result(result, check, "", 0, 1600);
    CHECK(alive.alive());
    CHECK(alive.consecutive_failures() == 0);
    CHECK(services::worth_telling(result, alive, check));
    auto again = services::next_result(alive, check, "", 0, 1700);
    CHECK_FALSE(services::worth_telling(alive, again, check));
    auto dead = services::next_result(again, check, "refused", 0, 1800);
    CHECK(dead.consecutive_failures() == 1);
    CHECK(services::worth_telling(again, dead, check));
    auto worse = services::next_result(dead, check, "refused", 0, 1900);
    CHECK(services::worth_telling(dead, worse, check));
}

TEST_CASE("a task is told where its identity is, away from its own volumes; a label switches it off") {
    services::SpecFacts facts;
    facts.sandbox = "/s";
    facts.identity = "/run/smackd-0/tasks/1";
    const auto with_volume = [](const std::string& path) {
        return app_of((R"({"id": "/i", "container": {"type": "DOCKER", "docker": {"image": "x"},
            "volumes": [{"containerPath": ")" +
                       path + R"(", "hostPath": "/h", "mode": "RW"}]}})")
                          .c_str());
    };
    const auto plain = app_of(R"({"id": "/i", "cmd": "run"})");
    auto spec = services::spec_of(task_of(plain, {}), plain, facts);
    REQUIRE(spec);
    CHECK(spec->identity() == facts.identity);
    CHECK(spec->identity_path() == "/run/smackd");
    CHECK(variables(*spec)["SMACKD_TOKEN_FILE"] == "/run/smackd/token");
    CHECK(variables(*spec)["SMACKD_SOCKET"] == "/run/smackd/api.sock");
    for (const char* path : {"/run", "/var/run", "/run/smackd", "/var/run/smackd/x"})
        CHECK(services::identity_path_of(with_volume(path)) == "/mnt/smackd");
    for (const char* path : {"/run/secrets", "/var/run/docker.sock", "/runs", "data", "/run/smackdx"})
        CHECK(services::identity_path_of(with_volume(path)) == "/run/smackd");
    facts.identity.clear();
    spec = services::spec_of(task_of(plain, {}), plain, facts);
    REQUIRE(spec);
    CHECK(spec->identity_path().empty());
    CHECK_FALSE(variables(*spec).contains("SMACKD_SOCKET"));
    const auto none = app_of(R"({"id": "/i", "cmd": "run", "labels": {"SMACKD_IDENTITY": "none"}})");
    CHECK(services::identity_path_of(none).empty());
}
