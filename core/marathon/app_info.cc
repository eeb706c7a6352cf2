#include "core/marathon/app_info.h"

#include <algorithm>
#include <format>

#include "core/apps/task_rules.h"
#include "core/marathon/app_json.h"
#include "core/marathon/path_id.h"
#include "core/marathon/timestamp.h"
#include "core/marathon/write_parts.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;
using wire::Deployment;
using wire::Task;

namespace {

void set_time(Json& json, std::string_view name, int64_t time_ms) {
    if (time_ms > 0) json.set(name, format_timestamp(time_ms));
}

bool is_unhealthy(const Task& task) {
    return task.status().state() == wire::TASK_RUNNING &&
           std::ranges::any_of(task.status().health(), [](const wire::HealthResult& result) {
               return !result.alive() && result.consecutive_failures() > 0;
           });
}

Json health_json(const Task& task, const wire::HealthResult& result) {
    Json json = Json::object();
    json.set("alive", result.alive()).set("consecutiveFailures", result.consecutive_failures());
    set_time(json, "firstSuccess", result.first_success_ms());
    set_time(json, "lastFailure", result.last_failure_ms());
    if (!result.last_failure_cause().empty()) json.set("lastFailureCause", result.last_failure_cause());
    set_time(json, "lastSuccess", result.last_success_ms());
    json.set("instanceId", task.instance_id()).set("taskId", task.id());
    return json;
}

Json check_json(const wire::TaskStatus& status) {
    Json json = Json::object();
    if (status.has_check_exit_code())
        json.set("command", Json::object().set("exitCode", status.check_exit_code()));
    if (status.check_http_status() > 0)
        json.set("http", Json::object().set("statusCode", status.check_http_status()));
    return json;
}

Json counts_json(const TaskCounts& counts) {
    Json json = Json::object();
    json.set("staged", counts.staged).set("running", counts.running);
    json.set("healthy", counts.healthy).set("unhealthy", counts.unhealthy);
    return json;
}

/// Counts and how long the tasks have run.
Json summary_json(const AppDefinition& app, const std::vector<const Task*>& tasks, int64_t now_ms) {
    std::vector<double> seconds;
    double sum = 0;
    for (const Task* task : tasks) {
        if (task->status().started_ms() == 0) continue;
        seconds.push_back(static_cast<double>(now_ms - task->status().started_ms()) / 1000);
        sum += seconds.back();
    }
    std::ranges::sort(seconds);
    Json stats = Json::object();
    stats.set("counts", counts_json(count_tasks(app, tasks)));
    if (!seconds.empty()) {
        Json life = Json::object();
        life.set("averageSeconds", sum / static_cast<double>(seconds.size()));
        stats.set("lifeTime", std::move(life.set("medianSeconds", seconds[seconds.size() / 2])));
    }
    return std::move(Json::object().set("stats", std::move(stats)));
}

Json task_stats_json(const AppDefinition& app, const std::vector<const Task*>& tasks, int64_t now_ms) {
    std::vector<const Task*> latest;
    std::vector<const Task*> outdated;
    std::vector<const Task*> since_scaling;
    for (const Task* task : tasks) {
        (task->config_version_ms() == app.config_version_ms() ? latest : outdated).push_back(task);
        if (task->app_version_ms() >= app.last_scaling_ms()) since_scaling.push_back(task);
    }
    Json json = Json::object();
    if (!since_scaling.empty()) json.set("startedAfterLastScaling", summary_json(app, since_scaling, now_ms));
    if (!latest.empty()) json.set("withLatestConfig", summary_json(app, latest, now_ms));
    if (!outdated.empty()) json.set("withOutdatedConfig", summary_json(app, outdated, now_ms));
    if (!tasks.empty()) json.set("totalSummary", summary_json(app, tasks, now_ms));
    return json;
}

Json failure_json(const AppDefinition& app, const wire::TaskFailure& failure) {
    Json json = Json::object();
    json.set("appId", app.id()).set("host", failure.machine()).set("message", failure.message());
    json.set("state", task_state_name(failure.state())).set("taskId", failure.task_id());
    json.set("timestamp", format_timestamp(failure.time_ms()));
    json.set("version", format_timestamp(failure.app_version_ms()))
        .set("slaveId", agent_id(failure.node_id()));
    return json;
}

Json readiness_json(const AppDefinition& app, const Task& task) {
    Json json = Json::object();
    json.set("name", app.readiness_checks(0).name())
        .set("taskId", task.id())
        .set("ready", task.status().ready());
    return json;
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

Json reasons_json(const apps::WhyNot& why) {
    Json list = Json::array();
    for (const auto& [reason, count] : why.counts) {
        Json one = Json::object();
        one.set("reason", apps::reason_name(reason)).set("declined", count).set("processed", count);
        list.push(std::move(one));
    }
    return list;
}

}  // namespace

std::string_view task_state_name(wire::TaskState state) {
    switch (state) {
        case wire::TASK_STARTING:
            return "TASK_STARTING";
        case wire::TASK_RUNNING:
            return "TASK_RUNNING";
        case wire::TASK_KILLING:
            return "TASK_KILLING";
        case wire::TASK_FINISHED:
            return "TASK_FINISHED";
        case wire::TASK_FAILED:
            return "TASK_FAILED";
        case wire::TASK_KILLED:
            return "TASK_KILLED";
        case wire::TASK_ERROR:
            return "TASK_ERROR";
        case wire::TASK_LOST:
            return "TASK_LOST";
        case wire::TASK_DROPPED:
            return "TASK_DROPPED";
        case wire::TASK_GONE:
            return "TASK_GONE";
        case wire::TASK_GONE_BY_OPERATOR:
            return "TASK_GONE_BY_OPERATOR";
        case wire::TASK_UNREACHABLE:
            return "TASK_UNREACHABLE";
        default:
            return "TASK_STAGING";
    }
}

std::string_view task_state_name(const Task& task) {
    const wire::TaskState state = task.status().state();
    const bool stopping =
        task.desired() == Task::KILL && !apps::has_ended(task) && state != wire::TASK_UNREACHABLE;
    return task_state_name(stopping ? wire::TASK_KILLING : state);
}

std::string agent_id(uint64_t node_id) {
    return std::format("smackd-S{}", node_id);
}

TaskCounts count_tasks(const AppDefinition& app, std::span<const Task* const> tasks) {
    TaskCounts counts;
    for (const Task* task : tasks) {
        const wire::TaskState state = task->status().state();
        counts.staged +=
            state == wire::TASK_STATE_UNKNOWN || state == wire::TASK_STAGING || state == wire::TASK_STARTING;
        counts.running += state == wire::TASK_RUNNING;
        if (app.health_checks_size() == 0) continue;
        counts.healthy += apps::is_healthy(*task, app);
        counts.unhealthy += is_unhealthy(*task);
    }
    return counts;
}

Json task_to_json(const Task& task, const AppDefinition* app, bool service_ports) {
    const wire::TaskStatus& status = task.status();
    Json json = Json::object();
    json.set("appId", task.app_id()).set("host", task.machine()).set("id", task.id());
    const bool own = !status.task_address().empty();
    const std::string& address = own ? status.task_address() : task.host_address();
    Json addresses = Json::array();
    if (!address.empty()) {
        const std::string_view protocol = address.contains(':') ? "IPv6" : "IPv4";
        addresses.push(Json::object().set("ipAddress", address).set("protocol", protocol));
    }
    json.set("ipAddresses", std::move(addresses));
    Json ports = Json::array();
    for (const uint32_t port : task.host_ports()) {
        if (port != 0) ports.push(port);
    }
    json.set("ports", std::move(ports));
    if (service_ports && app != nullptr) {
        Json list = Json::array();
        for (const wire::Port& port : app->ports()) list.push(port.service_port());
        json.set("servicePorts", std::move(list));
    }
    json.set("slaveId", agent_id(task.node_id()))
        .set("state", task_state_name(task))
        .set("role", task.role().empty() ? "*" : task.role());
    set_time(json, "stagedAt", task.staged_ms());
    set_time(json, "startedAt", status.started_ms());
    json.set("version", format_timestamp(task.app_version_ms()));
    Json volumes = Json::array();
    for (const wire::LocalVolume& volume : task.volumes()) {
        Json one = Json::object();
        one.set("runSpecId", task.app_id()).set("containerPath", volume.container_path());
        volumes.push(
            std::move(one.set("uuid", task.instance_id()).set("persistenceId", volume.persistence_id())));
    }
    json.set("localVolumes", std::move(volumes));
    if (!task.region().empty()) json.set("region", task.region());
    if (!task.zone().empty()) json.set("zone", task.zone());
    if (status.health_size() > 0) {
        Json health = Json::array();
        for (const wire::HealthResult& result : status.health()) health.push(health_json(task, result));
        json.set("healthCheckResults", std::move(health));
    }
    if (status.has_check_exit_code() || status.check_http_status() > 0)
        json.set("checkResult", check_json(status));
    return json;
}

std::string tasks_as_text(const AppDefinition& app, std::span<const Task* const> tasks) {
    const std::string name = id_with_underscores(app.id());
    std::string text;
    for (int i = 0; i < app.ports_size(); ++i) {
        text += std::format("{}\t{}\t", name, app.ports(i).service_port());
        for (const Task* task : tasks) {
            if (task->status().state() != wire::TASK_RUNNING || i >= task->host_ports_size()) continue;
            text += std::format("{}:{}\t", task->machine(), task->host_ports(i));
        }
        text += "\n";
    }
    if (app.ports_size() > 0) return text;
    text = name + "\t \t";
    for (const Task* task : tasks) {
        if (task->status().state() == wire::TASK_RUNNING) text += task->machine() + "\t";
    }
    return text + "\n";
}

Json app_info_to_json(const AppDefinition& app, const AppFacts& facts, const AppEmbed& embed,
                      int64_t now_ms) {
    Json json = app_to_json(app);
    const TaskCounts counts = count_tasks(app, facts.tasks);
    json.set("tasksStaged", counts.staged).set("tasksRunning", counts.running);
    json.set("tasksHealthy", counts.healthy).set("tasksUnhealthy", counts.unhealthy);
    Json deployments = Json::array();
    for (const std::string& id : facts.deployments) deployments.push(Json::object().set("id", id));
    json.set("deployments", std::move(deployments));
    if (embed.tasks) {
        Json list = Json::array();
        for (const Task* task : facts.tasks) list.push(task_to_json(*task, &app));
        json.set("tasks", std::move(list));
    }
    if (embed.readiness) {
        Json list = Json::array();
        for (const Task* task : facts.tasks) {
            if (app.readiness_checks_size() > 0 && !facts.deployments.empty())
                list.push(readiness_json(app, *task));
        }
        json.set("readinessCheckResults", std::move(list));
    }
    if (embed.last_task_failure && facts.backoff != nullptr && facts.backoff->has_last_failure())
        json.set("lastTaskFailure", failure_json(app, facts.backoff->last_failure()));
    if (embed.task_stats) {
        // Marathon's own spelling, and the one its Go client reads.
        const Json stats = task_stats_json(app, facts.tasks, now_ms);
        json.set("tasksStats", stats).set("taskStats", stats);
    }
    return json;
}

Json steps_to_json(const Deployment& deployment) {
    Json steps = Json::array();
    for (const wire::DeploymentStep& step : deployment.steps()) {
        Json actions = Json::array();
        for (const wire::DeploymentStep::Entry& entry : step.entries())
            actions.push(
                Json::object().set("action", action_name(entry.action())).set("app", entry.app_id()));
        steps.push(Json::object().set("actions", std::move(actions)));
    }
    return steps;
}

Json deployment_to_json(const Deployment& deployment) {
    Json json = Json::object();
    json.set("id", deployment.id()).set("version", format_timestamp(deployment.version_ms()));
    json.set("affectedApps", strings(deployment.affected_apps())).set("affectedPods", Json::array());
    json.set("steps", steps_to_json(deployment));
    Json current = Json::array();
    if (deployment.current_step() < static_cast<uint32_t>(deployment.steps_size())) {
        for (const auto& entry : deployment.steps(static_cast<int>(deployment.current_step())).entries()) {
            Json one = Json::object();
            one.set("action", action_name(entry.action())).set("app", entry.app_id());
            current.push(std::move(one.set("readinessCheckResults", Json::array())));
        }
    }
    // Marathon counts steps from 1.
    json.set("currentActions", std::move(current)).set("currentStep", deployment.current_step() + 1);
    json.set("totalSteps", static_cast<int64_t>(deployment.steps_size()));
    if (deployment.state() == Deployment::FAILED) json.set("failed", true);
    if (!deployment.message().empty()) json.set("message", deployment.message());
    return json;
}

Json queue_item_to_json(const AppDefinition& app, const apps::WhyNot& why, const wire::AppBackoff* backoff,
                        int64_t now_ms) {
    Json json = Json::object();
    json.set("app", app_to_json(app))
        .set("count", why.missing)
        .set("role", app.role().empty() ? "*" : app.role());
    const int64_t until_ms = backoff == nullptr ? 0 : backoff->until_ms();
    const int64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    Json delay = Json::object();
    delay.set("timeLeftSeconds", (left_ms + 999) / 1000).set("overdue", left_ms == 0);
    json.set("delay", std::move(delay)).set("since", format_timestamp(app.last_scaling_ms()));
    uint32_t looked_at = 0;
    for (const auto& [reason, count] : why.counts) looked_at += count;
    Json summary = Json::object();
    summary.set("processedOffersCount", looked_at).set("unusedOffersCount", looked_at);
    summary.set("rejectSummaryLastOffers", reasons_json(why))
        .set("rejectSummaryLaunchAttempt", reasons_json(why));
    json.set("processedOffersSummary", std::move(summary));
    // Ours: the sentence, and each node with what it lacks.
    json.set("reason", why.text);
    Json nodes = Json::array();
    for (const apps::NodeReason& node : why.nodes) {
        Json one = Json::object();
        one.set("host", node.machine).set("reason", apps::reason_name(node.reason)).set("text", node.text);
        nodes.push(std::move(one));
    }
    return std::move(json.set("nodes", std::move(nodes)));
}

}  // namespace smackd::marathon
