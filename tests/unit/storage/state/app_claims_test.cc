// What an app asks for beyond its own tasks, and who may: the rights and claims of feature level 6.
#include <catch2/catch_test_macros.hpp>

#include "core/marathon/app_json.h"
#include "storage/state/limits.h"
#include "tests/unit/storage/state/machine.h"

using namespace smackd;
using namespace smackd::storage::state;
using test::Server;

namespace {

constexpr const char* kBridge = R"(, "networks": [{"mode": "container/bridge"}])";

std::string with_port(const std::string& mapping) {
    return std::string(kBridge) + R"(, "container": {"type": "MESOS", "portMappings": [{)" + mapping + "}]}";
}

wire::Command put(wire::Command made, const std::string& id, const std::string& more) {
    made.set_feature_level(kLevelOfApps);
    auto json = core::Json::parse(R"({"id": ")" + id + R"(", "cmd": "sleep 1")" + more + "}");
    REQUIRE(json);
    auto app = marathon::app_from_json(*json, {});
    REQUIRE(app);
    app->set_version_ms(1000);
    app->set_config_version_ms(1000);
    *made.add_changes()->mutable_put_app()->mutable_app() = *app;
    return made;
}

wire::Command by_system(const std::string& id, const std::string& more = kBridge) {
    return put(test::command(), id, more);
}
wire::Command by_ann(const std::string& id, const std::string& more = kBridge) {
    return put(test::as_user("ann"), id, more);
}

void raise_to(Server& server, uint32_t level) {
    wire::Command raise = test::command();
    raise.add_changes()->mutable_raise_feature_level()->set_level(level);
    server.ok(raise);
}

void let(Server& server, const std::string& path, const std::vector<std::string>& actions) {
    wire::Command made = test::command();
    made.set_feature_level(kLevelOfNames);
    auto* rule = made.add_changes()->mutable_put_rule();
    rule->set_id("ann");
    rule->set_subject("user:ann");
    for (const std::string& action : actions) rule->add_actions(action);
    rule->set_tenant("*");
    rule->set_path(path);
    server.ok(made);
}

/// User ann may launch and change below /team.
void set_up(Server& server, uint32_t level = kLevelOfNames) {
    server.ok(test::init_cluster());
    raise_to(server, level);
    wire::Command people = test::command();
    test::user(people, "ann");
    server.ok(people);
    if (level >= kLevelOfNames) let(server, "/team", {"launch", "change"});
}

std::string refusal(Server& server, const wire::Command& command) {
    const auto result = server.run(command);
    INFO(result.message());
    CHECK(test::code(result) == core::Errc::kDenied);
    return result.message();
}

}  // namespace

TEST_CASE("the network of the node takes the right host, which says so") {
    Server server;
    set_up(server);
    for (const char* more : {"", R"(, "networks": [{"mode": "host"}])",
                             R"(, "container": {"docker": {"image": "x", "network": "HOST"}})"}) {
        const std::string told = refusal(server, by_ann("/team/x", more));
        CHECK(told.contains("network of the node"));
        CHECK(told.contains("smackd policy add NAME user:ann --allow host --path /team/x"));
        CHECK(told.contains("container/bridge"));
    }
    server.ok(by_ann("/team/x"));
    server.ok(by_system("/team/host", ""));
    refusal(server,
            by_ann("/team/host", R"(, "instances": 2)"));  // a command of hers would be in that network
    let(server, "/team", {"launch", "change", "host"});
    server.ok(by_ann("/team/host", R"(, "instances": 2)"));
}

TEST_CASE("what has the node, and the load balancer's name, take admin") {
    Server server;
    set_up(server);
    let(server, "/", {"launch", "change", "host"});
    for (
        const char* more :
        {R"(, "container": {"docker": {"image": "x", "privileged": true}})",
         R"(, "container": {"type": "MESOS", "volumes": [{"containerPath": "/h", "hostPath": "/etc", "mode": "RO"}]})",
         R"(, "container": {"type": "MESOS", "linuxInfo": {"seccomp": {"unconfined": true}}})",
         R"(, "container": {"type": "MESOS", "linuxInfo": {"ipcInfo": {"mode": "SHARE_PARENT"}}})"})
        CHECK(refusal(server, by_ann("/team/x", more)).contains("--allow admin"));
    CHECK(refusal(server, by_ann("/lb/marathon")).contains("load balancer"));
    CHECK(refusal(server, by_ann("/marathon-lb-internal")).contains("load balancer"));
    server.ok(by_ann("/marathon/lb"));
}

TEST_CASE("names, virtual addresses and ports that another app has are not taken") {
    Server server;
    set_up(server);
    server.ok(by_system(
        "/a/web-team",
        with_port(R"("containerPort": 80, "servicePort": 10100, "labels": {"VIP_0": "/shop:80"})")));
    const std::string name = refusal(server, by_ann("/team-a/web"));
    CHECK(name.contains("launch"));  // not below her path
    let(server, "/team-a", {"launch", "change"});
    const std::string label = refusal(server, by_ann("/team-a/web"));
    CHECK(label.contains("name web-team-a belongs to another app, which you may not change"));
    CHECK_FALSE(label.contains("/a/web-team"));
    CHECK(refusal(server,
                  by_ann("/team-a/x", with_port(R"("containerPort": 80, "labels": {"VIP_3": "/SHOP:80"})")))
              .contains("vip shop:80"));
    CHECK(refusal(server, by_ann("/team-a/x", with_port(R"("containerPort": 80, "servicePort": 10100)")))
              .contains("port 10100"));
    CHECK(refusal(server, by_ann("/team-a/x", with_port(R"("containerPort": 80, "hostPort": 10100)")))
              .contains("host port 10100"));
    server.ok(
        by_ann("/team-a/x",
               with_port(R"("containerPort": 80, "hostPort": 10200, "labels": {"VIP_0": "/shop:81"})")));
    // The same host port on another node is nobody's loss; as a service port it is.
    server.ok(by_system("/b/y", with_port(R"("containerPort": 80, "hostPort": 10200)")));
    let(server, "/b", {"view", "launch"});
    CHECK(refusal(server, by_ann("/b/z", with_port(R"("containerPort": 80, "servicePort": 10200)")))
              .contains("belongs to"));
}

TEST_CASE("apps of before the level keep their names, and rules of before know no host") {
    Server server;
    set_up(server, kLevelOfNames - 1);
    server.ok(by_system("/a/web-team"));
    wire::Command early = test::command();
    early.set_feature_level(kLevelOfNames);
    auto* rule = early.add_changes()->mutable_put_rule();
    rule->set_id("ann");
    rule->set_subject("user:ann");
    rule->add_actions("host");
    rule->set_tenant("*");
    rule->set_path("/");
    CHECK(test::code(server.run(early)) == core::Errc::kUnsupported);
    early.set_feature_level(1);
    CHECK(server.run(early).code() != 0);
    raise_to(server, kLevelOfNames);
    let(server, "/team-a", {"launch"});
    CHECK(refusal(server, by_ann("/team-a/web")).contains("name web-team-a"));
}
