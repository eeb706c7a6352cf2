#include "cmd/smackd/node/agent_feeds.h"

#include <iterator>

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

namespace {

void set_place(wire::AgentFeedItem& item, Revision place) {
    item.set_epoch(place.epoch);
    item.set_revision(place.number);
}

}  // namespace

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
    Session session{agent, {asked.epoch(), asked.revision()}, out};
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
    while (true) {
        auto taken =
            co_await net::with_deadline(loop_, limits_.place, "a change", reader->next(limits_.batch));
        if (!taken && taken.error().code != Errc::kTimeout) co_return core::pass(std::move(taken));
        wire::AgentFeedItem item;
        size_t bytes = 0;
        for (const RecordPtr& record : taken.value_or(std::vector<RecordPtr>())) {
            const core::RowForAgents* row = seen(*record);
            if (row == nullptr || !core::agent_sees(*row, session.agent)) continue;
            *item.add_rows() = row->row;
            bytes += row->row.row().size() + row->row.key().size();
            if (bytes < limits_.item_bytes) continue;
            set_place(item, record->revision);
            CO_TRY(co_await send(session, item));
            item.Clear();
            bytes = 0;
        }
        // Without a row for it the agent is told its place now and then only.
        const bool idle = !taken && session.place != reader->position();
        if (item.rows().empty() && !idle) continue;
        set_place(item, reader->position());
        CO_TRY(co_await send(session, item));
    }
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

const core::RowForAgents* AgentFeeds::seen(const Record& record) {
    const auto [place, added] = cache_.try_emplace(record.revision);
    auto& row = place->second;
    if (!added) return row ? &*row : nullptr;
    wire::FeedChange change;
    if (change.ParseFromString(record.encoded)) {
        row = core::for_agents(
            {change.kind(), change.key(), change.row(), change.removed(), change.revision()});
    }
    if (cache_.size() > limits_.cache)
        cache_.erase(place == cache_.begin() ? std::next(place) : cache_.begin());
    return row ? &*row : nullptr;
}

Task<Result<void>> AgentFeeds::send_snapshot(Session& session) {
    CO_TRY(co_await snapshots_.acquire());
    net::Semaphore::Permit permit(snapshots_);
    CO_TRY_ASSIGN(const Snapshot rows, co_await snapshot());
    if (rows->revision < session.place) co_return behind(session.place);
    logger_.debug("snapshot for an agent",
                  {{"node", session.agent.value}, {"revision", rows->revision.to_string()}});
    co_return co_await send_rows(session, *rows);
}

Task<Result<void>> AgentFeeds::send_rows(Session& session, const RowsForAgents& rows) {
    wire::AgentFeedItem item;
    item.set_snapshot(true);
    size_t bytes = 0;
    for (const core::RowForAgents& row : rows.rows) {
        if (!core::agent_sees(row, session.agent)) continue;
        *item.add_rows() = row.row;
        bytes += row.row.row().size() + row.row.key().size();
        if (bytes < limits_.item_bytes) continue;
        item.set_more(true);
        set_place(item, rows.revision);
        CO_TRY(co_await send(session, item));
        item.Clear();
        bytes = 0;
    }
    set_place(item, rows.revision);
    co_return co_await send(session, item);
}

Task<Result<void>> AgentFeeds::send(Session& session, const wire::AgentFeedItem& item) {
    auto sent = co_await net::with_deadline(loop_, limits_.slow, "your taking a part of the feed",
                                            session.out.send(item.SerializeAsString()));
    if (!sent) co_return sent;
    if (!item.more()) session.place = {item.epoch(), item.revision()};
    co_return sent;
}

// Many want one at once after a restore or when the feed was compacted: they share it.
Task<Result<AgentFeeds::Snapshot>> AgentFeeds::snapshot() {
    CO_TRY(co_await reading_.acquire());
    net::Semaphore::Permit permit(reading_);
    if (Snapshot last = last_.lock(); last && last->revision == hub_.head()) co_return last;
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
