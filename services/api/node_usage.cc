#include "services/api/node_usage.h"

#include <algorithm>

#include "services/api/conditions.h"
#include "services/api/reply.h"

namespace smackd::services::handlers {

using core::Json;

namespace {

constexpr int64_t kShownMs = 10 * 60 * 1000;
constexpr int64_t kGridMs = 10 * 1000;  // of nodes whose tasks alone are known

/// When the tasks of one node began and ended; 0: they have not.
class TaskTimes {
 public:
    TaskTimes(const AppsModel& model, uint64_t node) {
        for (const auto& [id, row] : model.tasks) {
            if (row.put.node_id() != node) continue;
            times_.emplace_back(row.put.staged_ms(),
                                apps::has_ended(row.put) ? row.put.status().ended_ms() : INT64_MAX);
        }
    }
    int64_t count_at(int64_t time_ms) const {
        return std::ranges::count_if(
            times_, [&](const auto& one) { return one.first <= time_ms && time_ms < one.second; });
    }

 private:
    std::vector<std::pair<int64_t, int64_t>> times_;
};

Json measured_json(const std::vector<UsageSample>& samples, const TaskTimes& tasks) {
    Json list = Json::array();
    for (const UsageSample& sample : samples) {
        list.push(Json::object()
                      .set("time_ms", sample.time_ms)
                      .set("cpu_share", sample.cpu_share)
                      .set("memory_used_bytes", sample.memory_used_bytes)
                      .set("memory_total_bytes", sample.memory_total_bytes)
                      .set("tasks", tasks.count_at(sample.time_ms)));
    }
    return list;
}

Json counted_json(int64_t since_ms, int64_t now_ms, const TaskTimes& tasks) {
    Json list = Json::array();
    const int64_t first = std::max(since_ms, now_ms - kShownMs) / kGridMs + 1;
    for (int64_t at = first * kGridMs; at <= now_ms; at += kGridMs)
        list.push(Json::object().set("time_ms", at).set("tasks", tasks.count_at(at)));
    return list;
}

}  // namespace

Answer node_usage(Call& call) {
    CO_TRY(call.require(core::Action::kView));
    CO_TRY_ASSIGN(const int64_t since_ms, query_integer(call.request, "since", 0, 0, INT64_MAX));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const auto node = std::ranges::find_if(
        model->nodes, [&](const auto& one) { return std::to_string(one.first) == call.argument(); });
    if (node == model->nodes.end())
        co_return core::fail(core::Errc::kNotFound, "no node '{}'", call.argument().substr(0, 64));
    const core::NodeId id{node->first};
    const TaskTimes tasks(*model, id.value);  // the model may be another one after what follows
    ApiEnvironment& environment = call.api.environment;
    core::Result<std::vector<UsageSample>> samples =
        core::fail(core::Errc::kUnavailable, "nothing is measured");
    if (environment.tasks != nullptr)
        samples = co_await environment.tasks->node_usage(environment.loop, id, since_ms);
    Json list = samples ? measured_json(*samples, tasks)
                        : counted_json(since_ms, environment.clock.wall().unix_ms, tasks);
    co_return json_reply(200,
                         Json::object().set("measured", samples.has_value()).set("samples", std::move(list)));
}

}  // namespace smackd::services::handlers
