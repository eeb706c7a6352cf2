// /ping, /health, /ready: what load balancers and supervisors ask, without signing in. They tell nothing
// else.
#include "services/api/handlers.h"
#include "services/api/reply.h"

namespace smackd::services::handlers {

using core::Json;
using net::http::Response;

namespace {

/// Why this server should get no requests; empty when it should.
std::string not_ready_because(Call& call, const core::Result<std::shared_ptr<const StateView>>& view) {
    const storage::ReplicaStatus& status = call.api.environment.state.status();
    if (status.role == storage::ReplicaRole::kUnavailable)
        return "this server does not take part in the cluster";
    if (status.leader.value == 0) return "the cluster has no leader";
    if (!view) return view.error().message;
    return {};
}

}  // namespace

Answer ping(Call&) {
    co_return Response::text(200, "pong\n").with("Cache-Control", "no-store");
}

Answer health(Call&) {
    co_return json_reply(200, Json::object().set("status", "ok"));
}

Answer ready(Call& call) {
    const auto view = co_await call.api.cache.current();
    const std::string reason = not_ready_because(call, view);
    Json json;
    json.set("ready", reason.empty());
    if (!reason.empty()) json.set("reason", reason);
    co_return json_reply(reason.empty() ? 200 : 503, json);
}

}  // namespace smackd::services::handlers
