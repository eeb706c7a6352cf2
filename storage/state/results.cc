#include "storage/state/results.h"

#include "core/planted.h"

namespace smackd::storage::state {
namespace {

bool is_forgotten(const Position& position, const Retention& retention, uint64_t number, int64_t time_ms) {
    const uint64_t later = position.result_number - number;
    if (later >= retention.results_max) return true;
    return later >= retention.results_min && position.time_ms - time_ms > retention.result_age_max_ms;
}

core::Result<void> expire_results(Writer& writer, const Retention& retention) {
    sqlite::Database& state = writer.state();
    for (int i = 0; i < retention.expire_per_command; ++i) {
        uint64_t number = 0;
        {
            TRY_ASSIGN(auto cursor,
                       state.query("SELECT number, time_ms FROM results ORDER BY number LIMIT 1"));
            TRY_ASSIGN(const bool found, cursor.next());
            if (!found) return {};
            number = cursor.row().number(0);
            if (!is_forgotten(writer.position(), retention, number, cursor.row().integer(1))) return {};
        }
        TRY(state.run("DELETE FROM results WHERE number = ?", {number}));
    }
    return {};
}

core::Result<void> expire_feed(Writer& writer, const Retention& retention) {
    sqlite::Database& state = writer.state();
    Position& position = writer.position();
    for (int i = 0; i < retention.expire_per_command; ++i) {
        const uint64_t kept = position.revision - position.feed_floor;
        if (kept <= retention.feed_rows_min) return {};
        const uint64_t oldest = position.feed_floor + 1;
        TRY_ASSIGN(const int64_t time_ms,
                   state.integer("SELECT time_ms FROM feed WHERE revision = ?", {oldest}));
        const bool old = position.time_ms - time_ms > retention.feed_age_max_ms;
        if (!old && kept <= retention.feed_rows_max) return {};
        TRY(state.run("DELETE FROM feed WHERE revision = ?", {oldest}));
        position.feed_floor = oldest;
    }
    return {};
}

core::Result<void> expire_audit(Writer& writer, const Retention& retention) {
    const uint64_t revision = writer.position().revision;
    if (revision <= retention.audit_revisions_max) return {};
    return writer.state().run("DELETE FROM audit WHERE revision <= ?",
                              {revision - retention.audit_revisions_max});
}

}  // namespace

core::Result<std::optional<core::Bytes>> find_result(Writer& writer, const Retention& retention,
                                                     uint64_t client, uint64_t sequence) {
    TRY_ASSIGN(
        auto cursor,
        writer.state().query("SELECT number, time_ms, result FROM results WHERE client = ? AND sequence = ?",
                             {client, sequence}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<core::Bytes>();
    const sqlite::Statement& row = cursor.row();
    if (is_forgotten(writer.position(), retention, row.number(0), row.integer(1)))
        return std::optional<core::Bytes>();
    return std::optional<core::Bytes>(core::Bytes(row.blob(2)));
}

core::Result<void> record_result(Writer& writer, const Retention& retention, const wire::Command& command,
                                 const core::Bytes& result) {
    if (command.client() == 0 || SMACK_BUG("dedup_forgotten")) return {};
    Position& position = writer.position();
    const uint64_t number = ++position.result_number;
    TRY(writer.state().run(
        "INSERT OR REPLACE INTO results VALUES(?, ?, ?, ?, ?)",
        {command.client(), command.sequence(), number, position.time_ms, sqlite::Blob{result}}));
    if (command.sequence() <= retention.results_per_client) return {};
    return writer.state().run("DELETE FROM results WHERE client = ? AND sequence <= ?",
                              {command.client(), command.sequence() - retention.results_per_client});
}

core::Result<void> expire(Writer& writer, const Retention& retention) {
    TRY(expire_results(writer, retention));
    TRY(expire_feed(writer, retention));
    return expire_audit(writer, retention);
}

}  // namespace smackd::storage::state
