#include "services/api/call.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/json.h"
#include "net/scope.h"
#include "services/api/conditions.h"
#include "services/api/reply.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::Revision;
using net::Task;

namespace {

constexpr uint32_t kCommandFeatureLevel = 1;

bool is_json(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    return net::http::equal_ignoring_case(type.substr(0, type.find_last_not_of(' ') + 1), "application/json");
}

}  // namespace

Task<Result<void>> read_json_text(Call& call) {
    CO_TRY_ASSIGN(call.body, co_await call.request.body->read_all(kBodyBytesMax));
    if (!call.body.empty() && !is_json(call.request.headers.get("Content-Type"))) {
        co_return fail(Errc::kInvalid, "Content-Type: must be application/json");
    }
    co_return Result<void>();
}

Task<Result<Json>> read_body(Call& call) {
    CO_TRY(co_await read_json_text(call));
    if (call.body.empty()) co_return Json::object();
    CO_TRY_ASSIGN(Json body, Json::parse(call.body));
    if (!body.is_object()) co_return fail(Errc::kInvalid, "body: must be a JSON object");
    co_return body;
}

Task<Result<void>> await_freshness(Call& call) {
    CO_TRY_ASSIGN(const ReadConditions conditions, ReadConditions::of(call.request));
    ApiEnvironment& environment = call.api.environment;
    if (conditions.consistent) CO_TRY(co_await reach_leader(call, conditions.wait));
    if (!conditions.min_revision) co_return Result<void>();
    const Revision wanted = *conditions.min_revision;
    const Revision reached = environment.feed.head();
    if (wanted.epoch < reached.epoch) {
        co_return fail(Errc::kConflict,
                       "min_revision {}: the cluster was restored since (epoch {} now); list again",
                       wanted.to_string(), reached.epoch);
    }
    if (reached >= wanted) co_return Result<void>();
    auto waited = co_await net::with_deadline(environment.loop, conditions.wait, "waiting for the revision",
                                              wait_for_revision(environment.loop, environment.feed, wanted));
    if (waited) co_return Result<void>();
    co_return fail(Errc::kTimeout, "min_revision {}: this server has reached {} after {} ms",
                   wanted.to_string(), environment.feed.head().to_string(), conditions.wait.count());
}

Task<Result<void>> reach_leader(Call& call, core::Duration limit) {
    ApiEnvironment& environment = call.api.environment;
    auto reached = co_await net::with_deadline(environment.loop, limit, "reaching the leader",
                                               environment.state.barrier());
    co_return reached;
}

wire::Command make_command(const Call& call) {
    wire::Command command;
    command.set_feature_level(kCommandFeatureLevel);
    wire::Actor* actor = command.mutable_actor();
    actor->set_kind(call.subject().is_task() ? wire::Actor::TASK : wire::Actor::USER);
    actor->set_principal(call.principal());
    actor->set_door("api");
    return command;
}

Task<Result<Revision>> change(Call& call, wire::Command command, Target target) {
    if (call.subject().is_task())
        command.set_feature_level(std::max(command.feature_level(), storage::state::kLevelOfTaskActors));
    CO_TRY_ASSIGN(WriteConditions conditions, WriteConditions::of(call.request));
    if (target.create) conditions = WriteConditions{.version = std::nullopt, .must_be_absent = true};
    CO_TRY(conditions.apply_to(command, target.kind, target.key, call.api.environment.feed.head()));
    CO_TRY_ASSIGN(const Idempotency idempotency, Idempotency::of(call.request, call.principal(), call.body));
    command.set_client(idempotency.client);
    command.set_sequence(idempotency.sequence);
    auto proposed = co_await call.api.environment.state.propose(std::move(command));
    // Whatever came of it, what is in memory may be older than what the caller knows.
    call.api.cache.invalidate();
    if (!proposed) co_return core::pass(std::move(proposed));
    if (proposed->code() != 0) {
        const auto code = proposed->code() <= static_cast<uint32_t>(Errc::kUnknownOutcome)
                              ? static_cast<Errc>(proposed->code())
                              : Errc::kUnsupported;
        if (code == Errc::kConflict && target.create && proposed->message().starts_with(target.kind)) {
            co_return fail(code, "{} '{}' exists already", target.kind, target.key);
        }
        co_return std::unexpected(core::Error{code, proposed->message(), 0});
    }
    co_return Revision{proposed->epoch(), proposed->revision()};
}

net::http::Response changed_reply(int status, Revision revision, Json more) {
    more.set("revision", revision.to_string());
    net::http::Response response = json_reply(status, more);
    response.headers.add("X-Smack-Revision", revision.to_string());
    return response;
}

net::http::Response read_reply(const Call& call, Revision revision, Json body) {
    body.set("revision", revision.to_string());
    net::http::Response response = json_reply(200, body);
    const storage::ReplicaStatus& status = call.api.environment.state.status();
    response.headers.add("X-Smack-Revision", revision.to_string());
    response.headers.add("X-Smack-Applied-Index", std::to_string(status.applied_index.value));
    const auto contact = std::chrono::duration_cast<core::milliseconds>(status.since_leader_contact);
    response.headers.add("X-Smack-Leader-Contact-Ms", std::to_string(contact.count()));
    return response;
}

}  // namespace smackd::services
