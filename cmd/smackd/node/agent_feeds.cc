#include "cmd/smackd/node/agent_feeds.h"

#include <iterator>

#include "core/wire/app.pb.h"
#include "core/wire/feed.pb.h"
#include "net/scope.h"

namespace smackd::cmd {

using core::Errc;
using core::Result;
using core::Revision;
using net::Task;
using storage::feed::Record;
using storage::feed::RecordPtr;
using storage::state::RowsForAgents;

AgentFeeds::AgentFeeds(net::Loop& loop, net::WorkerPool& workers, storage::feed::Hub& hub,
                       storage::state::ReaderOptions reader, core::Logger logger, AgentFeedLimits limits)
    : limits_(limits),
      loop_(loop),
      workers_(workers),
      hub_(hub),
      reader_(std::move(reader)),
      logger_(std::move(logger)),
      snapshots_(loop, limits.snapshots),
      reading_(loop, 1) {}

Task<Result<void>> AgentFeeds::serve(core::NodeId agent, core::Bytes request, net::rpc::ItemWriter& out) {
    wire::AgentFeedRequest asked;
    if (!asked.ParseFromString(request))
        co_return core::fail(Errc::kInvalid, "feed: no wire.AgentFeedRequest");
    Session session{.agent = agent, .place = {asked.epoch(), asked.revision()}, .out = out};
    while (true) {
        CO_TRY(check_epoch(session));
        auto ended = co_await send_changes(session);
        // kConflict: its place is of an older epoch, or compacted; kBusy: the hub has cut a slow watch.
        const Errc why = ended ? Errc{} : ended.error().code;
        if (why != Errc::kConflict && why != Errc::kBusy) co_return ended;
        CO_TRY(check_epoch(session));
        CO_TRY(co_await send_snapshot(session));
    }
}

// The agent has heard of a state that this server has not: this one is of before a recovery.
Result<void> AgentFeeds::check_epoch(const Session& session) const {
    const uint64_t epoch = hub_.head().epoch;
    if (session.place.epoch <= epoch) return {};
    return core::fail(Errc::kDenied, "this server is in epoch {}, your copy of the state in {}", epoch,
                      session.place.epoch);
}

Task<Result<void>> AgentFeeds::send_changes(Session& session) {
    if (session.place.epoch == 0) co_return core::fail(Errc::kConflict, "no place");
    CO_TRY(co_await catch_up(session.place));
    auto opened = services::FeedReader::open(loop_, hub_, session.place,
                                             {.kinds = core::agent_kinds(), .key_prefix = {}});
    if (!opened && opened.error().code == Errc::kBusy)
        co_return core::fail(Errc::kUnavailable, "{}", opened.error().message);
    CO_TRY_ASSIGN(const auto reader, std::move(opened));
    CO_TRY(co_await send_definitions(session));
    while (true) {
        auto taken =
            co_await net::with_deadline(loop_, limits_.place, "a change", reader->next(limits_.batch));
        if (!taken && taken.error().code != Errc::kTimeout) co_return core::pass(std::move(taken));
        for (const RecordPtr& record : taken.value_or(std::vector<RecordPtr>())) {
            CO_TRY(co_await add_change(session, *record));
            if (session.bytes >= limits_.item_bytes) CO_TRY(co_await send(session, record->revision));
        }
        // Without a row for it the agent is told its place now and then only.
        const bool idle = !taken && session.place != reader->position();
        if (session.item.rows().empty() && !idle) continue;
        CO_TRY(co_await send(session, reader->position()));
    }
}

// What this stream has to know of the agent's tasks before it goes on from a place: with their definitions as
// they are now, so that none changes unseen between the place and now.
Task<Result<void>> AgentFeeds::send_definitions(Session& session) {
    CO_TRY_ASSIGN(const Snapshot rows, co_await snapshot(session.place));
    session.definitions = {};
    for (const core::RowForAgents& row : rows->rows) {
        const bool task = row.row.kind() == "task";
        if (task && core::agent_sees(row, session.agent))
            static_cast<void>(session.definitions.add(row.row.key(), row.definition));
        if (row.row.kind() != "definition" || !session.definitions.wants(row.definition, row.row.version()))
            continue;
        session.definitions.sent(row.definition, row.row.version());
        add_row(session, row.row);
        if (session.bytes >= limits_.item_bytes) CO_TRY(co_await send(session, session.place));
    }
    if (!session.item.rows().empty()) CO_TRY(co_await send(session, session.place));
    co_return Result<void>();
}

// What a task runs goes with it, and goes when none of the agent's tasks runs it any more.
Task<Result<void>> AgentFeeds::add_change(Session& session, const Record& record) {
    // The cache may let go of it while this waits.
    const std::vector<core::RowForAgents> rows = seen(record);
    for (const core::RowForAgents& row : rows) {
        if (row.row.kind() == "definition") {
            if (!session.definitions.wants(row.definition, row.row.version())) continue;
            session.definitions.sent(row.definition, row.row.version());
            add_row(session, row.row);
        } else if (core::agent_sees(row, session.agent)) {
            const bool task = row.row.kind() == "task";
            if (task && !row.row.removed() && session.definitions.add(row.row.key(), row.definition))
                CO_TRY(co_await add_definition(session, row.row.row()));
            add_row(session, row.row);
            if (!task || !row.row.removed()) continue;
            if (const auto gone = session.definitions.remove(row.row.key(), row.definition)) {
                wire::AgentRow removed;
                removed.set_kind("definition");
                removed.set_key(*gone);
                removed.set_removed(true);
                removed.set_version(row.row.version());
                add_row(session, removed);
            }
        }
    }
    co_return Result<void>();
}

Task<Result<void>> AgentFeeds::add_definition(Session& session, const std::string& task_row) {
    using Found = std::optional<core::RowForAgents>;
    CO_TRY_ASSIGN(const Found found,
                  co_await workers_.run<Found>(loop_, [this, &task_row]() -> Result<Found> {
                      wire::Task task;
                      if (!task.ParseFromString(task_row)) return Found();
                      storage::state::StateReader reader(reader_);
                      TRY_ASSIGN(auto view, reader.view());
                      return storage::state::definition_for_agents(view, task);
                  }));
    if (!found) co_return Result<void>();  // the app went meanwhile; so will the task
    session.definitions.sent(found->definition, found->row.version());
    add_row(session, found->row);
    co_return Result<void>();
}

void AgentFeeds::add_row(Session& session, const wire::AgentRow& row) {
    *session.item.add_rows() = row;
    session.bytes += row.row().size() + row.key().size();
}

// A server that was chosen after another one may have less of the log applied.
Task<Result<void>> AgentFeeds::catch_up(Revision place) {
    if (place.epoch != hub_.head().epoch || place <= hub_.head()) co_return Result<void>();
    auto reached = co_await net::with_deadline<void>(loop_, limits_.behind, "catching up",
                                                     services::wait_for_revision(loop_, hub_, place));
    if (reached || reached.error().code != Errc::kTimeout) co_return reached;
    co_return behind(place);
}

std::unexpected<core::Error> AgentFeeds::behind(Revision place) const {
    return core::fail(Errc::kUnavailable, "this server is at {}, your copy of the state at {}",
                      hub_.head().to_string(), place.to_string());
}

const std::vector<core::RowForAgents>& AgentFeeds::seen(const Record& record) {
    const auto [place, added] = cache_.try_emplace(record.revision);
    if (!added) return place->second;
    wire::FeedChange change;
    if (change.ParseFromString(record.encoded)) {
        place->second = core::for_agents(
            {change.kind(), change.key(), change.row(), change.removed(), change.revision()});
    }
    if (cache_.size() > limits_.cache)
        cache_.erase(place == cache_.begin() ? std::next(place) : cache_.begin());
    return place->second;
}

Task<Result<void>> AgentFeeds::send_snapshot(Session& session) {
    CO_TRY(co_await snapshots_.acquire());
    net::Semaphore::Permit permit(snapshots_);
    CO_TRY_ASSIGN(const Snapshot rows, co_await snapshot(hub_.head()));
    if (rows->revision < session.place) co_return behind(session.place);
    logger_.debug("snapshot for an agent",
                  {{"node", session.agent.value}, {"revision", rows->revision.to_string()}});
    co_return co_await send_rows(session, *rows);
}

Task<Result<void>> AgentFeeds::send_rows(Session& session, const RowsForAgents& rows) {
    session.definitions = {};
    session.item.Clear();
    session.item.set_snapshot(true);
    session.bytes = 0;
    for (const core::RowForAgents& row : rows.rows) {
        if (row.row.kind() == "definition") {
            if (!session.definitions.wants(row.definition, row.row.version())) continue;
            session.definitions.sent(row.definition, row.row.version());
        } else if (!core::agent_sees(row, session.agent)) {
            continue;
        }
        // Definitions come behind all tasks.
        if (row.row.kind() == "task")
            static_cast<void>(session.definitions.add(row.row.key(), row.definition));
        add_row(session, row.row);
        if (session.bytes < limits_.item_bytes) continue;
        session.item.set_more(true);
        CO_TRY(co_await send(session, rows.revision));
    }
    co_return co_await send(session, rows.revision);
}

Task<Result<void>> AgentFeeds::send(Session& session, Revision place) {
    session.item.set_epoch(place.epoch);
    session.item.set_revision(place.number);
    auto sent = co_await net::with_deadline(loop_, limits_.slow, "your taking a part of the feed",
                                            session.out.send(session.item.SerializeAsString()));
    if (!sent) co_return sent;
    if (!session.item.more()) session.place = place;
    session.item.Clear();
    session.bytes = 0;
    co_return sent;
}

// Many want one at once, after a restore or when they all come back: they share it.
Task<Result<AgentFeeds::Snapshot>> AgentFeeds::snapshot(Revision least) {
    CO_TRY(co_await reading_.acquire());
    net::Semaphore::Permit permit(reading_);
    if (Snapshot last = last_.lock(); last && last->revision >= least) co_return last;
    CO_TRY_ASSIGN(Snapshot read, co_await workers_.run<Snapshot>(loop_, [this]() -> Result<Snapshot> {
        storage::state::StateReader reader(reader_);
        TRY_ASSIGN(auto view, reader.view());
        TRY_ASSIGN(RowsForAgents rows, storage::state::read_rows_for_agents(view));
        if (rows.rows.empty()) return core::fail(Errc::kUnavailable, "this server has no state yet");
        return std::make_shared<const RowsForAgents>(std::move(rows));
    }));
    last_ = read;
    co_return read;
}

}  // namespace smackd::cmd
