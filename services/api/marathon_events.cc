#include "services/api/marathon_events.h"

#include "core/marathon/app_info.h"
#include "core/marathon/app_json.h"
#include "core/marathon/timestamp.h"
#include "core/wire/app.pb.h"
#include "core/wire/feed.pb.h"

namespace smackd::services {

using core::Json;
using net::http::SseEvent;

namespace {

Json ports_json(const wire::Task& task) {
    Json ports = Json::array();
    for (const uint32_t port : task.host_ports()) ports.push(port);
    return ports;
}

Json status_json(const wire::Task& task) {
    Json json;
    json.set("slaveId", marathon::agent_id(task.node_id())).set("taskId", task.id());
    json.set("taskStatus", marathon::task_state_name(task)).set("message", task.status().message());
    json.set("appId", task.app_id()).set("host", task.machine());
    Json addresses = Json::array();
    if (!task.status().task_address().empty())
        addresses.push(Json::object().set("ipAddress", task.status().task_address()).set("protocol", "IPv4"));
    json.set("ipAddresses", std::move(addresses)).set("ports", ports_json(task));
    json.set("version", marathon::format_timestamp(task.app_version_ms()));
    return json;
}

void add_task_events(const wire::FeedChange& change, std::vector<SseEvent>& events) {
    wire::Task task;
    if (change.removed() || !task.ParseFromString(change.row())) return;
    events.push_back(marathon_event("status_update_event", status_json(task), change.time_ms()));
    if (task.status().health_size() == 0) return;
    bool alive = true;
    for (const wire::HealthResult& result : task.status().health()) alive = alive && result.alive();
    Json json;
    json.set("appId", task.app_id()).set("instanceId", task.instance_id()).set("taskId", task.id());
    json.set("version", marathon::format_timestamp(task.app_version_ms())).set("alive", alive);
    events.push_back(marathon_event("health_status_changed_event", std::move(json), change.time_ms()));
}

void add_app_events(const wire::FeedChange& change, std::vector<SseEvent>& events) {
    if (change.removed()) {
        events.push_back(marathon_event("app_terminated_event", Json::object().set("appId", change.key()),
                                        change.time_ms()));
        return;
    }
    wire::AppDefinition app;
    if (!app.ParseFromString(change.row())) return;
    Json json;
    json.set("clientIp", "")
        .set("uri", "/v2/apps" + app.id())
        .set("appDefinition", marathon::app_to_json(app));
    events.push_back(marathon_event("api_post_event", std::move(json), change.time_ms()));
}

void add_deployment_events(const wire::FeedChange& change, std::vector<SseEvent>& events) {
    if (change.removed()) {
        events.push_back(
            marathon_event("deployment_success", Json::object().set("id", change.key()), change.time_ms()));
        return;
    }
    wire::Deployment deployment;
    if (!deployment.ParseFromString(change.row())) return;
    Json plan;
    plan.set("id", deployment.id()).set("version", marathon::format_timestamp(deployment.version_ms()));
    Json json;
    json.set("plan", std::move(plan)).set("currentStep", deployment.current_step());
    const bool failed = deployment.state() == wire::Deployment::FAILED;
    if (failed) json.set("reason", deployment.message());
    events.push_back(
        marathon_event(failed ? "deployment_failed" : "deployment_info", std::move(json), change.time_ms()));
}

}  // namespace

SseEvent marathon_event(std::string name, Json body, int64_t time_ms) {
    body.set("eventType", name).set("timestamp", marathon::format_timestamp(time_ms));
    return {.id = {}, .name = std::move(name), .data = body.dump()};
}

std::vector<SseEvent> marathon_events(const storage::feed::Record& record) {
    std::vector<SseEvent> events;
    wire::FeedChange change;
    if (!change.ParseFromString(record.encoded)) return events;
    if (record.kind == "task") add_task_events(change, events);
    if (record.kind == "app") add_app_events(change, events);
    if (record.kind == "deployment") add_deployment_events(change, events);
    for (SseEvent& event : events) event.id = record.revision.to_string();
    return events;
}

}  // namespace smackd::services
