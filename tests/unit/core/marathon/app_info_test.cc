#include "core/marathon/app_info.h"

#include <catch2/catch_test_macros.hpp>

#include "core/marathon/app_json.h"

namespace smackd::marathon {
namespace {

using core::Json;

Json json(std::string_view text) {
    return *Json::parse(text);
}

wire::AppDefinition web() {
    auto app =
        *app_from_json(json(R"({"id": "/g/web", "cmd": "run", "ports": [10001], "healthChecks": [{}]})"), {});
    app.set_version_ms(2000);
    app.set_config_version_ms(1000);
    app.set_last_scaling_ms(2000);
    app.set_last_config_change_ms(1000);
    return app;
}

wire::Task task_of(wire::TaskState state, bool alive, uint32_t failures) {
    wire::Task task;
    task.set_id("g_web.instance-1._app.1");
    task.set_instance_id("g_web.instance-1");
    task.set_app_id("/g/web");
    task.set_app_version_ms(1000);
    task.set_config_version_ms(1000);
    task.set_node_id(3);
    task.set_machine("n3");
    task.set_host_address("10.0.0.3");
    task.add_host_ports(31005);
    task.set_role("*");
    task.set_staged_ms(1500);
    wire::TaskStatus& status = *task.mutable_status();
    status.set_state(state);
    status.set_started_ms(1600);
    if (alive || failures > 0) {
        status.add_health()->set_alive(alive);
        status.mutable_health(0)->set_consecutive_failures(failures);
        if (alive) status.mutable_health(0)->set_first_success_ms(1700);
    }
    return task;
}

TEST_CASE("a task as Marathon's clients read it") {
    const auto app = web();
    CHECK(task_to_json(task_of(wire::TASK_RUNNING, true, 0), &app, true) ==
          json(R"({"appId": "/g/web", "host": "n3", "id": "g_web.instance-1._app.1",
        "ipAddresses": [{"ipAddress": "10.0.0.3", "protocol": "IPv4"}], "ports": [31005], "servicePorts": [10001],
        "slaveId": "smackd-S3", "state": "TASK_RUNNING", "role": "*", "stagedAt": "1970-01-01T00:00:01.500Z",
        "startedAt": "1970-01-01T00:00:01.600Z", "version": "1970-01-01T00:00:01.000Z", "localVolumes": [],
        "healthCheckResults": [{"alive": true, "consecutiveFailures": 0, "firstSuccess": "1970-01-01T00:00:01.700Z",
            "instanceId": "g_web.instance-1", "taskId": "g_web.instance-1._app.1"}]})"));
}

TEST_CASE("states: new ones are staging, those to be killed are killing") {
    auto task = task_of(wire::TASK_STATE_UNKNOWN, false, 0);
    CHECK(task_state_name(task) == "TASK_STAGING");
    task.set_desired(wire::Task::KILL);
    CHECK(task_state_name(task) == "TASK_KILLING");
    task.mutable_status()->set_state(wire::TASK_KILLED);
    CHECK(task_state_name(task) == "TASK_KILLED");
}

TEST_CASE("counts, deployments, failure and statistics of an app") {
    const auto app = web();
    const auto healthy = task_of(wire::TASK_RUNNING, true, 0);
    const auto unhealthy = task_of(wire::TASK_RUNNING, false, 2);
    const auto unknown = task_of(wire::TASK_RUNNING, false, 0);
    const auto staged = task_of(wire::TASK_STAGING, false, 0);
    wire::AppBackoff backoff;
    backoff.mutable_last_failure()->set_message("exit 1");
    backoff.mutable_last_failure()->set_state(wire::TASK_FAILED);
    const AppFacts facts{{&healthy, &unhealthy, &unknown, &staged}, {"d1"}, &backoff};
    const Json info = app_info_to_json(app, facts, {true, true, true, true}, 2600);
    CHECK(info["tasksStaged"].as_integer() == 1);
    CHECK(info["tasksRunning"].as_integer() == 3);
    CHECK(info["tasksHealthy"].as_integer() == 1);
    CHECK(info["tasksUnhealthy"].as_integer() == 1);
    CHECK(info["deployments"] == json(R"([{"id": "d1"}])"));
    CHECK(info["tasks"].as_array().size() == 4);
    CHECK(info["lastTaskFailure"]["message"].as_string() == "exit 1");
    CHECK(info["lastTaskFailure"]["state"].as_string() == "TASK_FAILED");
    CHECK(info["taskStats"] == info["tasksStats"]);
    CHECK(info["taskStats"]["totalSummary"]["stats"]["lifeTime"]["medianSeconds"].as_number() == 1.0);
    CHECK(info["versionInfo"]["lastScalingAt"].as_string() == "1970-01-01T00:00:02.000Z");
    const Json plain = app_info_to_json(app, {}, {}, 0);
    CHECK(plain.find("tasks") == nullptr);
    CHECK(plain["deployments"].is_array());
}

TEST_CASE("a deployment and its plan") {
    wire::Deployment deployment;
    deployment.set_id("d1");
    deployment.add_affected_apps("/a");
    auto* first = deployment.add_steps()->add_entries();
    first->set_action(wire::ACTION_START);
    first->set_app_id("/a");
    auto* second = deployment.add_steps()->add_entries();
    second->set_action(wire::ACTION_RESTART);
    second->set_app_id("/a");
    deployment.set_current_step(1);
    CHECK(deployment_to_json(deployment) == json(R"({"id": "d1", "version": "1970-01-01T00:00:00.000Z",
        "affectedApps": ["/a"], "affectedPods": [],
        "steps": [{"actions": [{"action": "StartApplication", "app": "/a"}]},
                  {"actions": [{"action": "RestartApplication", "app": "/a"}]}],
        "currentActions": [{"action": "RestartApplication", "app": "/a", "readinessCheckResults": []}],
        "currentStep": 2, "totalSteps": 2})"));
}

TEST_CASE("the queue says why") {
    apps::WhyNot why;
    why.missing = 2;
    why.text = "none of 1 nodes fits: 1 InsufficientCpus";
    why.counts[apps::Reason::kInsufficientCpus] = 1;
    why.nodes.push_back({"n1", apps::Reason::kInsufficientCpus, "needs 9 cpus, 1 of 2 are free"});
    wire::AppBackoff backoff;
    backoff.set_until_ms(5500);
    const Json item = queue_item_to_json(web(), why, &backoff, 4000);
    CHECK(item["count"].as_integer() == 2);
    CHECK(item["delay"] == json(R"({"timeLeftSeconds": 2, "overdue": false})"));
    CHECK(item["processedOffersSummary"]["rejectSummaryLastOffers"] ==
          json(R"([{"reason": "InsufficientCpus", "declined": 1, "processed": 1}])"));
    CHECK(item["nodes"] ==
          json(R"([{"host": "n1", "reason": "InsufficientCpus", "text": "needs 9 cpus, 1 of 2 are free"}])"));
    CHECK(item["app"]["id"].as_string() == "/g/web");
}

TEST_CASE("the text form for old load balancer scripts") {
    const auto app = web();
    const auto running = task_of(wire::TASK_RUNNING, true, 0);
    const auto staged = task_of(wire::TASK_STAGING, false, 0);
    const std::vector<const wire::Task*> tasks = {&running, &staged};
    CHECK(tasks_as_text(app, tasks) == "g_web\t10001\tn3:31005\t\n");
}

}  // namespace
}  // namespace smackd::marathon
