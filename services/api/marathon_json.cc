#include "services/api/marathon_json.h"

#include <algorithm>

#include "core/marathon/app_json.h"
#include "core/marathon/timestamp.h"
#include "services/api/reply.h"
#include "storage/state/app_rows.h"

namespace smackd::services {

using core::Json;
using marathon::format_timestamp;

namespace {

struct Counts {
    int staged = 0;
    int running = 0;
    int healthy = 0;
    int unhealthy = 0;
};

Counts count(const std::vector<const wire::Task*>& tasks) {
    Counts counts;
    for (const wire::Task* one : tasks) {
        const wire::Task& task = *one;
        const wire::TaskState state = task.status().state();
        if (state != wire::TASK_RUNNING) {
            if (state <= wire::TASK_STARTING) ++counts.staged;
            continue;
        }
        ++counts.running;
        const bool checked = task.status().health_size() > 0;
        if (!checked) continue;
        const bool alive =
            std::ranges::all_of(task.status().health(), [](const auto& result) { return result.alive(); });
        ++(alive ? counts.healthy : counts.unhealthy);
    }
    return counts;
}

Json deployments_of(const AppsModel& model, const std::string& app) {
    Json list = Json::array();
    for (const auto& [id, row] : model.deployments) {
        if (std::ranges::contains(row.put.affected_apps(), app)) list.push(Json::object().set("id", id));
    }
    return list;
}

Json failure_json(const wire::AppBackoff& backoff) {
    const wire::TaskFailure& failure = backoff.last_failure();
    Json json;
    json.set("appId", backoff.app_id()).set("host", failure.machine()).set("message", failure.message());
    json.set("state", storage::state::task_state_name(failure.state())).set("taskId", failure.task_id());
    json.set("timestamp", format_timestamp(failure.time_ms()));
    json.set("version", format_timestamp(failure.app_version_ms()))
        .set("slaveId", std::to_string(failure.node_id()));
    return json;
}

Json health_json(const wire::Task& task) {
    Json list = Json::array();
    for (const wire::HealthResult& result : task.status().health()) {
        Json json;
        json.set("alive", result.alive()).set("consecutiveFailures", result.consecutive_failures());
        const auto time = [&](const char* name, int64_t ms) {
            if (ms > 0) json.set(name, format_timestamp(ms));
        };
        time("firstSuccess", result.first_success_ms());
        time("lastSuccess", result.last_success_ms());
        time("lastFailure", result.last_failure_ms());
        if (!result.last_failure_cause().empty()) json.set("lastFailureCause", result.last_failure_cause());
        json.set("instanceId", task.instance_id());
        list.push(std::move(json));
    }
    return list;
}

std::string_view action_name(wire::DeploymentAction action) {
    switch (action) {
        case wire::ACTION_START:
            return "StartApplication";
        case wire::ACTION_STOP:
            return "StopApplication";
        case wire::ACTION_RESTART:
            return "RestartApplication";
        default:
            return "ScaleApplication";
    }
}

Json actions_json(const wire::DeploymentStep& step) {
    Json list = Json::array();
    for (const auto& entry : step.entries()) {
        list.push(Json::object().set("action", action_name(entry.action())).set("app", entry.app_id()));
    }
    return list;
}

}  // namespace

AppEmbed AppEmbed::of(const net::http::Request& request) {
    AppEmbed embed;
    for (const auto& [name, value] : request.target.query) {
        if (name != "embed") continue;
        std::string_view what = value;
        for (const std::string_view prefix : {"group.apps.", "apps.", "app."}) {
            if (what.starts_with(prefix)) what.remove_prefix(prefix.size());
        }
        embed.tasks |= what == "tasks" || what == "failures";
        embed.last_task_failure |= what == "lastTaskFailure" || what == "failures";
        embed.readiness |= what == "readiness";
    }
    return embed;
}

Json app_info_json(const AppsModel& model, const wire::AppDefinition& app, const AppEmbed& embed) {
    Json json = marathon::app_to_json(app);
    const std::vector<const wire::Task*> tasks = model.living_tasks_of(app.id());
    const Counts counts = count(tasks);
    json.set("tasksStaged", counts.staged).set("tasksRunning", counts.running);
    json.set("tasksHealthy", counts.healthy).set("tasksUnhealthy", counts.unhealthy);
    json.set("deployments", deployments_of(model, app.id()));
    if (embed.readiness) json.set("readinessCheckResults", Json::array());
    if (embed.tasks) {
        Json list = Json::array();
        for (const wire::Task* task : tasks) list.push(task_json(model, *task));
        json.set("tasks", std::move(list));
    }
    if (embed.last_task_failure) {
        const auto found = model.backoffs.find(app.id());
        if (found != model.backoffs.end() && found->second.put.has_last_failure())
            json.set("lastTaskFailure", failure_json(found->second.put));
    }
    return json;
}

Json task_json(const AppsModel& model, const wire::Task& task, bool with_service_ports) {
    Json json;
    json.set("appId", task.app_id()).set("id", task.id()).set("host", task.machine());
    Json addresses = Json::array();
    const std::string& address =
        task.status().task_address().empty() ? task.host_address() : task.status().task_address();
    if (!address.empty()) {
        addresses.push(Json::object()
                           .set("ipAddress", address)
                           .set("protocol", address.find(':') == std::string::npos ? "IPv4" : "IPv6"));
    }
    json.set("ipAddresses", std::move(addresses));
    Json ports = Json::array();
    for (const uint32_t port : task.host_ports()) ports.push(port);
    json.set("ports", std::move(ports));
    if (with_service_ports) {
        Json services = Json::array();
        if (const auto app = model.apps.find(task.app_id()); app != model.apps.end()) {
            for (const wire::Port& port : app->second.put.ports()) services.push(port.service_port());
        }
        json.set("servicePorts", std::move(services));
    }
    const std::string_view state = storage::state::task_state_name(task.status().state());
    json.set("slaveId", std::to_string(task.node_id())).set("state", state.empty() ? "TASK_STAGING" : state);
    json.set("stagedAt", format_timestamp(task.staged_ms()));
    if (task.status().started_ms() > 0) json.set("startedAt", format_timestamp(task.status().started_ms()));
    json.set("version", format_timestamp(task.app_version_ms())).set("localVolumes", Json::array());
    json.set("role", task.role().empty() ? "*" : task.role());
    if (!task.region().empty()) json.set("region", task.region());
    if (!task.zone().empty()) json.set("zone", task.zone());
    if (task.status().health_size() > 0) json.set("healthCheckResults", health_json(task));
    return json;
}

Json deployment_json(const wire::Deployment& deployment) {
    Json json;
    json.set("id", deployment.id()).set("version", format_timestamp(deployment.version_ms()));
    Json affected = Json::array();
    for (const std::string& app : deployment.affected_apps()) affected.push(app);
    json.set("affectedApps", std::move(affected)).set("affectedPods", Json::array());
    Json steps = Json::array();
    for (const wire::DeploymentStep& step : deployment.steps())
        steps.push(Json::object().set("actions", actions_json(step)));
    json.set("steps", std::move(steps));
    Json current = Json::array();
    if (deployment.current_step() < static_cast<uint32_t>(deployment.steps_size())) {
        for (const auto& entry : deployment.steps(static_cast<int>(deployment.current_step())).entries()) {
            current.push(Json::object()
                             .set("action", action_name(entry.action()))
                             .set("app", entry.app_id())
                             .set("readinessCheckResults", Json::array()));
        }
    }
    json.set("currentActions", std::move(current)).set("currentStep", deployment.current_step() + 1);
    json.set("totalSteps", deployment.steps_size());
    return json;
}

Json deployment_result_json(int64_t version_ms, const std::string& deployment_id) {
    return Json::object().set("version", format_timestamp(version_ms)).set("deploymentId", deployment_id);
}

net::http::Response marathon_reply(int status, const Json& body) {
    net::http::Response response = json_reply(status, body);
    response.headers.add("Pragma", "no-cache");
    response.headers.add("Expires", "0");
    return response;
}

net::http::Response problem_reply(const marathon::Problem& problem) {
    return marathon_reply(problem.status, problem.json());
}

net::http::Response marathon_error_reply(const core::Error& error) {
    net::http::Response response = error_reply(error);
    response.body = error_to_json(error).set("message", error.message).dump() + "\n";
    return response;
}

}  // namespace smackd::services
