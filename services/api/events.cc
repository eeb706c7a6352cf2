// /smack/v1/events: the change feed as server-sent events.
//
// Each event has the kind as its name, (epoch, revision) as its id and the change as JSON. Besides: `reset`
// (what lies between is gone: list again, the stream goes on from its id) and `end` (the stream is over, with
// the reason). What the caller may not see is left out, by the rules of the moment.
#include <algorithm>

#include "net/http/sse.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/marathon_events.h"
#include "services/api/marathon_json.h"
#include "services/api/reply.h"
#include "services/api/still_welcome.h"

namespace smackd::services::handlers {

using core::Errc;
using core::Error;
using core::fail;
using core::Json;
using core::Result;
using core::Revision;
using net::Task;
using net::http::EventStream;
using net::http::Response;
using storage::feed::RecordPtr;

namespace {

constexpr size_t kEventsPerTake = 64;
constexpr core::seconds kFutureWait{5};  ///< for a place this server has not reached yet
constexpr core::seconds kRetry{2};       ///< what a browser waits before it comes back
constexpr size_t kKindsMax = 32;
constexpr int kMethodNotAllowed = 405;

/// Where a stream begins and what it tells.
struct Wanted {
    std::optional<Revision> from;  ///< nothing: the oldest change kept
    std::vector<std::string> kinds;
    bool follow = true;
    bool marathon = false;           ///< in the words of Marathon's event bus
    std::vector<std::string> names;  ///< of Marathon's events; empty: all
};

/// One open stream; owns what it needs, since the request is gone while it runs.
struct Stream {
    ApiContext& api;
    Caller caller;
    Wanted wanted;

    Stream(ApiContext& context, Caller who, Wanted what)
        : api(context), caller(std::move(who)), wanted(std::move(what)) {
        ++api.watchers;
        api.metrics.watchers.add(1);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() {
        --api.watchers;
        api.metrics.watchers.add(-1);
    }
};

Result<Wanted> parse_wanted(const Call& call) {
    Wanted wanted;
    std::optional<std::string_view> place = call.request.query("since");
    if (const std::string* id = call.request.headers.find("Last-Event-ID"); id != nullptr && !id->empty())
        place = *id;
    if (place) {
        auto revision = Revision::parse(*place);
        if (!revision) return core::pass(std::move(revision), "Last-Event-ID");
        wanted.from = *revision;
    } else if (const auto from = call.request.query("from")) {
        if (*from != "now" && *from != "oldest") {
            return fail(Errc::kInvalid, "from '{}': must be now or oldest", from->substr(0, 64));
        }
        if (*from == "now") wanted.from = call.api.environment.feed.head();
    }
    if (const auto kinds = call.request.query("kind")) {
        std::string_view rest = *kinds;
        while (!rest.empty()) {
            const size_t comma = rest.find(',');
            wanted.kinds.emplace_back(rest.substr(0, comma));
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
        if (wanted.kinds.size() > kKindsMax) return fail(Errc::kInvalid, "kind: at most {}", kKindsMax);
    }
    if (call.request.query("follow")) {
        TRY_ASSIGN(wanted.follow, query_flag(call.request, "follow"));
    }
    return wanted;
}

net::http::SseEvent end_event(const Error& why) {
    return {.id = {}, .name = "end", .data = error_to_json(why).dump()};
}

Task<Result<void>> send_changes(Stream& stream, EventStream& events, std::vector<RecordPtr> records) {
    CO_TRY_ASSIGN(const auto view, co_await still_welcome(stream.api, stream.caller));
    CO_TRY(view->policy.authorize_somewhere(stream.caller.subject, core::Action::kView));
    for (const RecordPtr& record : records) {
        if (!view->policy.sees(stream.caller.subject, *record)) continue;
        if (stream.wanted.marathon) {
            for (auto& event : marathon_events(*record)) {
                const auto& names = stream.wanted.names;
                if (names.empty() || std::ranges::contains(names, event.name))
                    CO_TRY(co_await events.send(std::move(event)));
            }
            continue;
        }
        CO_TRY_ASSIGN(std::string text, stream.api.event_texts.of(*record));
        CO_TRY(co_await events.send(
            {.id = record->revision.to_string(), .name = record->kind, .data = std::move(text)}));
    }
    co_return Result<void>();
}

/// Opens a reader at the wanted place; where that is gone, tells `reset` and begins at the newest.
Task<Result<std::unique_ptr<FeedReader>>> open_reader(Stream& stream, EventStream& events, Revision from) {
    storage::feed::Hub& hub = stream.api.environment.feed;
    net::Loop& loop = stream.api.environment.loop;
    if (from.epoch == hub.head().epoch && from > hub.head()) {
        // Another server was ahead of this one; a moment later this one is there too.
        auto reached = co_await net::with_deadline(loop, kFutureWait, "reaching the place",
                                                   wait_for_revision(loop, hub, from));
        if (!reached && reached.error().code == Errc::kCancelled) co_return core::pass(std::move(reached));
    }
    const storage::feed::Filter filter{.kinds = stream.wanted.kinds, .key_prefix = {}};
    auto reader = FeedReader::open(loop, hub, from, filter);
    if (reader || reader.error().code != Errc::kConflict) co_return reader;
    const Revision now = hub.head();
    Json told;
    told.set("revision", now.to_string()).set("reason", reader.error().message);
    CO_TRY(co_await events.send({.id = now.to_string(), .name = "reset", .data = told.dump()}));
    co_return FeedReader::open(loop, hub, now, filter);
}

/// Waits for changes and keeps the connection alive meanwhile; empty when there was only time passing.
Task<Result<std::vector<RecordPtr>>> next_changes(Stream& stream, FeedReader& reader) {
    if (!stream.wanted.follow) co_return reader.take(kEventsPerTake);
    auto taken = co_await net::with_deadline(stream.api.environment.loop, stream.api.options.event_heartbeat,
                                             "waiting", reader.next(kEventsPerTake));
    if (!taken && taken.error().code == Errc::kTimeout) co_return std::vector<RecordPtr>{};
    co_return taken;
}

/// Until the caller goes, is no longer welcome, or is too slow. Errors of the connection only.
Task<Result<void>> run(std::shared_ptr<Stream> shared, EventStream& events) {
    Stream& stream = *shared;
    CO_TRY(co_await events.retry(kRetry));
    if (stream.wanted.marathon) {
        CO_TRY(co_await events.send(marathon_event("event_stream_attached",
                                                   Json::object().set("remoteAddress", ""),
                                                   stream.api.environment.clock.wall().unix_ms)));
    }
    Revision from = stream.wanted.from.value_or(stream.api.environment.feed.floor());
    std::unique_ptr<FeedReader> reader;
    while (true) {
        if (reader == nullptr) {
            auto opened = co_await open_reader(stream, events, from);
            if (!opened) co_return co_await events.send(end_event(opened.error()));
            reader = std::move(*opened);
        }
        auto taken = co_await next_changes(stream, *reader);
        if (!taken && taken.error().code == Errc::kCancelled) co_return core::pass(std::move(taken));
        if (!taken && taken.error().code == Errc::kConflict) {
            from = reader->position();
            reader.reset();
            continue;
        }
        if (!taken) {
            if (taken.error().code == Errc::kBusy) stream.api.metrics.watchers_cut.add();
            co_return co_await events.send(end_event(taken.error()));
        }
        if (taken->empty()) {
            if (!stream.wanted.follow) {
                Json told;
                told.set("revision", reader->position().to_string());
                co_return co_await events.send(
                    {.id = reader->position().to_string(), .name = "end", .data = told.dump()});
            }
            CO_TRY(co_await events.heartbeat());
        }
        auto sent = co_await send_changes(stream, events, std::move(*taken));
        if (!sent) co_return co_await events.send(end_event(sent.error()));
    }
}

Answer stream_of(Call& call, Wanted wanted) {
    if (call.api.watchers >= kWatchersMax) {
        co_return std::unexpected(
            Error{Errc::kBusy,
                  std::format("{} event streams are open, the limit is reached", call.api.watchers), 5000});
    }
    // Shared, since a callback that is moved about starts a coroutine that stays.
    auto stream = std::make_shared<Stream>(call.api, *call.caller, std::move(wanted));
    co_return net::http::sse_response([stream](EventStream& events) { return run(stream, events); });
}

}  // namespace

Answer events(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), core::Action::kView));
    CO_TRY_ASSIGN(Wanted wanted, parse_wanted(call));
    co_return co_await stream_of(call, std::move(wanted));
}

/// /v2/events: from now on, or from where Last-Event-ID says.
Answer marathon_event_stream(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), core::Action::kView));
    if (!std::string_view(call.request.headers.get("Accept")).contains("text/event-stream")) {
        co_return marathon_reply(kMethodNotAllowed,
                                 Json::object().set("message", "Accept: must be text/event-stream"));
    }
    CO_TRY_ASSIGN(Wanted wanted, parse_wanted(call));
    if (!wanted.from) wanted.from = call.api.environment.feed.head();
    wanted.kinds = {"app", "task", "deployment"};
    wanted.marathon = true;
    for (const auto& [name, value] : call.request.target.query) {
        if (name == "event_type") wanted.names.push_back(value);
    }
    co_return co_await stream_of(call, std::move(wanted));
}

}  // namespace smackd::services::handlers
