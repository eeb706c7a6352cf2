#include "services/api/marathon_json.h"

#include <algorithm>

#include "core/marathon/timestamp.h"
#include "services/api/reply.h"

namespace smackd::services {

using core::Json;
using marathon::AppEmbed;

namespace {

std::vector<std::string> deployments_of(const AppsModel& model, const std::string& app) {
    std::vector<std::string> ids;
    for (const auto& [id, row] : model.deployments) {
        if (std::ranges::contains(row.put.affected_apps(), app)) ids.push_back(id);
    }
    return ids;
}

}  // namespace

AppEmbed app_embed_of(const net::http::Request& request) {
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
        embed.task_stats |= what == "taskStats";
    }
    return embed;
}

Json app_info_json(const AppsModel& model, const wire::AppDefinition& app, const AppEmbed& embed,
                   int64_t now_ms) {
    const auto backoff = model.backoffs.find(app.id());
    const marathon::AppFacts facts{
        .tasks = model.living_tasks_of(app.id()),
        .deployments = deployments_of(model, app.id()),
        .backoff = backoff == model.backoffs.end() ? nullptr : &backoff->second.put};
    return marathon::app_info_to_json(app, facts, embed, now_ms);
}

Json task_json(const AppsModel& model, const wire::Task& task, bool with_service_ports) {
    const auto app = model.apps.find(task.app_id());
    return marathon::task_to_json(task, app == model.apps.end() ? nullptr : &app->second.put,
                                  with_service_ports);
}

Json deployment_result_json(int64_t version_ms, const std::string& deployment_id) {
    return Json::object()
        .set("version", marathon::format_timestamp(version_ms))
        .set("deploymentId", deployment_id);
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
