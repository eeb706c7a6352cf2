// Looking inside: SQL, the audit, refusals, metrics.
#include "services/api/conditions.h"
#include "services/api/fields.h"
#include "services/api/handlers.h"
#include "services/api/resource.h"
#include "services/api/status_metrics.h"

namespace smackd::services::handlers {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::Revision;
using net::http::Response;

namespace {

constexpr size_t kQueryBytesMax = 16 * 1024;
constexpr int64_t kSqlRowsDefault = 1000;
constexpr int64_t kSqlRowsMax = 10'000;
constexpr core::milliseconds kSqlLimitDefault{2000};
constexpr core::milliseconds kSqlLimitMax{10'000};
constexpr int64_t kPageDefault = 100;
constexpr int64_t kPageMax = 1000;

std::string rfc3339(core::WallTime time) {
    const std::chrono::sys_time<core::milliseconds> at{core::milliseconds(time.unix_ms)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{at - day};
    return std::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

Json value_json(const storage::state::SqlValue& value) {
    if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
    if (const auto* real = std::get_if<double>(&value)) return *real;
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    // JSON has no bytes: hex, as SQL writes them.
    if (const auto* bytes = std::get_if<std::vector<uint8_t>>(&value)) {
        return core::to_hex(std::string(bytes->begin(), bytes->end()));
    }
    return {};
}

Json row_json(const std::vector<storage::state::SqlValue>& row) {
    Json::Array array;
    array.reserve(row.size());
    for (const auto& value : row) array.push_back(value_json(value));
    return Json(std::move(array));
}

}  // namespace

// The tables hold what everybody does: admins only.
Answer sql(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    Fields fields(body);
    const std::string query = fields.required_text("query");
    const bool consistent = fields.boolean("consistent");
    const auto rows_max = static_cast<uint32_t>(fields.integer("rows_max", kSqlRowsDefault, 1, kSqlRowsMax));
    const core::milliseconds limit(
        fields.integer("limit_ms", kSqlLimitDefault.count(), 1, kSqlLimitMax.count()));
    CO_TRY(fields.finish());
    if (query.size() > kQueryBytesMax) {
        co_return fail(Errc::kInvalid, "query: {} bytes, the limit is {}", query.size(), kQueryBytesMax);
    }
    if (consistent) CO_TRY(co_await reach_leader(call, kReadWaitDefault));
    CO_TRY(co_await await_freshness(call));
    storage::state::SqlLimits limits;
    limits.time = limit;
    limits.rows = rows_max;
    auto found = co_await call.api.readers.run<storage::state::SqlResult>(
        [&](Readers& readers) { return readers.sql.run(query, limits); });
    if (!found) co_return core::pass(std::move(found));
    Json columns = Json::array();
    for (const std::string& column : found->columns) columns.push(column);
    Json rows = Json::array();
    for (const auto& row : found->rows) rows.push(row_json(row));
    Json json;
    json.set("columns", std::move(columns)).set("rows", std::move(rows)).set("truncated", found->truncated);
    co_return read_reply(call, found->point.revision, std::move(json));
}

Answer audit(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const int64_t limit, query_integer(call.request, "limit", kPageDefault, 1, kPageMax));
    uint64_t before = 0;
    if (const auto text = call.request.query("before")) {
        CO_TRY_ASSIGN(const Revision revision, Revision::parse(*text));
        before = revision.number;
    }
    CO_TRY(co_await await_freshness(call));
    using Read = ReadAt<std::vector<storage::state::AuditRow>>;
    auto found = co_await read<Read>(call, [&](View& view) -> Result<Read> {
        Read result;
        result.revision = view.point().revision;
        TRY_ASSIGN(result.value, view.audit(before, static_cast<uint32_t>(limit)));
        return result;
    });
    if (!found) co_return core::pass(std::move(found));
    Json rows = Json::array();
    for (const storage::state::AuditRow& row : found->value) {
        Json json;
        json.set("revision", row.revision.to_string())
            .set("time_ms", row.time_ms)
            .set("actor", row.principal);
        json.set("door", row.door).set("summary", row.summary);
        rows.push(std::move(json));
    }
    co_return read_reply(call, found->revision, Json::object().set("audit", std::move(rows)));
}

// Of this server since it started, the newest first; the hash-chained file beside the state has them all.
Answer refusals(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const int64_t limit, query_integer(call.request, "limit", kPageDefault, 1, kPageMax));
    Json rows = Json::array();
    const auto& recent = call.api.recent_refusals;
    for (auto shown = recent.rbegin(); shown != recent.rend(); ++shown) {
        if (static_cast<int64_t>(rows.as_array().size()) >= limit) break;
        const auth::Refusal& refusal = shown->refusal;
        Json json;
        json.set("time", rfc3339(shown->time))
            .set("reason", refusal.reason)
            .set("principal", refusal.principal);
        json.set("source", refusal.source).set("door", refusal.door).set("request", refusal.request);
        json.set("message", refusal.message);
        rows.push(std::move(json));
    }
    Json json;
    json.set("refusals", std::move(rows));
    if (const auth::RefusalLog* log = call.api.environment.refusals) {
        json.set("head", log->head()).set("suppressed", log->suppressed());
    }
    co_return json_reply(200, json);
}

// Prometheus text format 0.0.4.
Answer metrics(Call& call) {
    CO_TRY(call.require(core::Action::kView));
    Response response;
    const LivenessDoor* liveness = call.api.environment.liveness;
    response.body = call.api.environment.registry.render() +
                    render_standing({call.api.options.node.id, call.api.options.node.version,
                                     call.api.environment.clock.now() - call.api.started,
                                     call.view->feature_level, call.api.environment.state.status(),
                                     liveness == nullptr ? std::vector<LiveMember>() : liveness->members()});
    response.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("X-Content-Type-Options", "nosniff");
    co_return response;
}

}  // namespace smackd::services::handlers
