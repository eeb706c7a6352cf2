// Marathon's answers: what core/marathon prints, with what the model knows of the rows.
#pragma once

#include <string>

#include "core/json.h"
#include "core/marathon/app_info.h"
#include "core/marathon/problem.h"
#include "net/http/message.h"
#include "services/apps/model.h"

namespace smackd::services {

/// What a request asks to be added to an app (?embed=).
marathon::AppEmbed app_embed_of(const net::http::Request& request);

core::Json app_info_json(const AppsModel& model, const wire::AppDefinition& app,
                         const marathon::AppEmbed& embed, int64_t now_ms);
/// `with_service_ports`: as in /v2/tasks.
core::Json task_json(const AppsModel& model, const wire::Task& task, bool with_service_ports = false);
/// {"version", "deploymentId"}.
core::Json deployment_result_json(int64_t version_ms, const std::string& deployment_id);

net::http::Response marathon_reply(int status, const core::Json& body);
net::http::Response problem_reply(const marathon::Problem& problem);
/// An error of ours with Marathon's {"message"} beside our own {"error"}, which its clients do not look at.
net::http::Response marathon_error_reply(const core::Error& error);

}  // namespace smackd::services
