#include "storage/agent/agent_copy.h"

#include <algorithm>

#include "core/assert.h"
#include "core/planted.h"
#include "storage/sqlite/wal.h"

namespace smackd::storage::agent {
namespace {

using core::Errc;
using core::Result;
using core::Revision;
using sqlite::Database;

constexpr int kFormat = 1;

constexpr const char* kTables = R"sql(
CREATE TABLE place(
    id INTEGER PRIMARY KEY CHECK(id = 1), format INTEGER NOT NULL, cluster_id TEXT NOT NULL, node_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL, revision INTEGER NOT NULL
);
CREATE TABLE rows(
    kind TEXT NOT NULL, key TEXT NOT NULL, row BLOB NOT NULL, version INTEGER NOT NULL, PRIMARY KEY(kind, key)
) WITHOUT ROWID;
)sql";

wire::AgentRow read_row(const sqlite::Statement& row) {
    wire::AgentRow read;
    read.set_kind(std::string(row.text(0)));
    read.set_key(std::string(row.text(1)));
    read.set_row(std::string(row.blob(2)));
    read.set_version(row.number(3));
    return read;
}

Result<std::vector<wire::AgentRow>> read_rows(Database& database, std::string_view kind) {
    TRY_ASSIGN(
        auto cursor,
        database.query("SELECT kind, key, row, version FROM rows WHERE kind = ? ORDER BY key", {kind}));
    std::vector<wire::AgentRow> rows;
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return rows;
        rows.push_back(read_row(cursor.row()));
    }
}

Result<Revision> read_position(Database& database) {
    TRY_ASSIGN(const int64_t epoch, database.integer("SELECT epoch FROM place"));
    TRY_ASSIGN(const int64_t revision, database.integer("SELECT revision FROM place"));
    return Revision{static_cast<uint64_t>(epoch), static_cast<uint64_t>(revision)};
}

Result<void> create(Database& database, const AgentCopyOwner& owner) {
    TRY_ASSIGN(const int64_t found,
               database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'place'"));
    if (found != 0) return {};
    TRY(database.begin_write());
    auto made = database.execute(kTables);
    if (made)
        made = database.run("INSERT INTO place VALUES(1, ?, ?, ?, 0, 0)",
                            {kFormat, owner.cluster_id, owner.node.value});
    if (made) made = database.commit();
    if (!made) database.rollback();
    return made;
}

/// kConflict when the copy is not this node's.
Result<Database> open_whole(core::Disk& disk, const sqlite::Vfs& vfs, const std::string& path,
                            const AgentCopyOwner& owner) {
    TRY(sqlite::check_wal(disk, path));
    TRY_ASSIGN(auto database, Database::open(vfs, path, sqlite::Access::kCreate));
    TRY(create(database, owner));
    if (auto emptied = database.checkpoint(true); !emptied) return core::pass(std::move(emptied));
    TRY(database.verify_pages());
    TRY_ASSIGN(
        const int64_t ours,
        database.integer("SELECT count(*) FROM place WHERE format = ? AND cluster_id = ? AND node_id = ?",
                         {kFormat, owner.cluster_id, owner.node.value}));
    if (ours != 1) return core::fail(Errc::kConflict, "{} is of another cluster, node or version", path);
    return database;
}

Result<void> set_aside(core::Disk& disk, sqlite::Vfs& vfs, const std::string& path) {
    for (const char* suffix : {"-wal", ""}) {
        const std::string from = path + suffix;
        vfs.forget(from);
        TRY_ASSIGN(const bool there, disk.exists(from));
        if (there) TRY(disk.rename(from, from + ".damaged"));
    }
    for (const char* suffix : {"-shm", sqlite::kBackfillMarkSuffix}) {
        auto removed = disk.remove(path + suffix);
        if (!removed && removed.error().code != Errc::kNotFound) return removed;
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<AgentCopy>> AgentCopy::open(core::Disk& disk, sqlite::Vfs& vfs, std::string path,
                                                   AgentCopyOwner owner, core::Logger logger) {
    auto opened = open_whole(disk, vfs, path, owner);
    const Errc why = opened ? Errc{} : opened.error().code;
    if (why == Errc::kCorrupt || why == Errc::kConflict) {
        logger.warning("agent's copy begun anew", {{"why", opened.error().message}});
        TRY(set_aside(disk, vfs, path));
        opened = open_whole(disk, vfs, path, owner);
    }
    if (!opened) return core::pass(std::move(opened), "the agent's copy of the state");
    TRY_ASSIGN(const Revision position, read_position(*opened));
    return std::unique_ptr<AgentCopy>(new AgentCopy(std::move(*opened), position, std::move(logger)));
}

AgentCopy::AgentCopy(Database database, Revision position, core::Logger logger)
    : database_(std::move(database)), position_(position), logger_(std::move(logger)) {}

AgentCopy::~AgentCopy() {
    abandon();
}

void AgentCopy::abandon() {
    if (!std::exchange(in_snapshot_, false)) return;
    database_.rollback();
}

Result<void> AgentCopy::check(const wire::AgentFeedItem& item) const {
    const Revision to{item.epoch(), item.revision()};
    if (item.more() && !item.snapshot() && !in_snapshot_)
        return core::fail(Errc::kInvalid, "feed: part of a snapshot that has not begun");
    if (in_snapshot_ && !item.snapshot()) {
        if (to != snapshot_of_)
            return core::fail(Errc::kInvalid, "feed: a snapshot of {} goes on as one of {}",
                              snapshot_of_.to_string(), to.to_string());
    } else if (to < position_ && !SMACK_BUG("fuzz_agent_feed")) {
        return core::fail(Errc::kDenied, "feed: the server is at {}, this copy at {}", to.to_string(),
                          position_.to_string());
    } else if (!item.snapshot() && to.epoch != position_.epoch) {
        return core::fail(Errc::kInvalid, "feed: changes of epoch {} for a copy of epoch {}", to.epoch,
                          position_.epoch);
    }
    for (const wire::AgentRow& row : item.rows()) {
        if (row.kind().empty()) return core::fail(Errc::kInvalid, "feed: a row without kind");
        if (row.ByteSizeLong() > kAgentRowBytesMax)
            return core::fail(Errc::kInvalid, "feed: a row of {} bytes, the limit is {}", row.ByteSizeLong(),
                              kAgentRowBytesMax);
    }
    const auto rows = static_cast<size_t>(item.rows_size());
    if ((item.snapshot() ? 0 : snapshot_rows_) + rows > kAgentRowsMax)
        return core::fail(Errc::kInvalid, "feed: a snapshot of more than {} rows", kAgentRowsMax);
    return {};
}

Result<bool> AgentCopy::apply(const wire::AgentFeedItem& item) {
    TRY(check(item));
    if (item.snapshot()) abandon();  // a new one replaces a part of an older one
    auto written = write(item);
    if (written && !item.more()) written = finish(item);
    if (!written) {
        in_snapshot_ = false;
        database_.rollback();
        return core::pass(std::move(written), "agent's copy");
    }
    if (item.more()) return false;
    position_ = {item.epoch(), item.revision()};
    if (database_.wal_frames() > kAgentCheckpointFrames) {
        auto copied = database_.checkpoint(false);
        if (!copied) logger_.warning("agent's copy: checkpoint", {{"error", copied.error().message}});
    }
    return true;
}

Result<void> AgentCopy::write(const wire::AgentFeedItem& item) {
    if (!in_snapshot_) {
        TRY(database_.begin_write());
        snapshot_rows_ = 0;
    }
    if (item.snapshot()) {
        in_snapshot_ = true;
        snapshot_of_ = {item.epoch(), item.revision()};
        TRY(database_.run("DELETE FROM rows"));
    }
    if (in_snapshot_) snapshot_rows_ += static_cast<size_t>(item.rows_size());
    for (const wire::AgentRow& row : item.rows()) {
        if (row.removed()) {
            TRY(database_.run("DELETE FROM rows WHERE kind = ? AND key = ?", {row.kind(), row.key()}));
        } else {
            TRY(database_.run("INSERT OR REPLACE INTO rows VALUES(?, ?, ?, ?)",
                              {row.kind(), row.key(), sqlite::Blob{row.row()}, row.version()}));
        }
    }
    return {};
}

Result<void> AgentCopy::finish(const wire::AgentFeedItem& item) {
    TRY(database_.run("UPDATE place SET epoch = ?, revision = ?", {item.epoch(), item.revision()}));
    in_snapshot_ = false;
    snapshot_rows_ = 0;
    return database_.commit();
}

Result<std::vector<wire::AgentRow>> AgentCopy::rows(std::string_view kind) {
    SMACK_ASSERT(!in_snapshot_);
    return read_rows(database_, kind);
}

Result<AgentReader> AgentReader::open(const sqlite::Vfs& vfs, const std::string& path) {
    TRY_ASSIGN(auto database, Database::open(vfs, path, sqlite::Access::kReadOnly));
    return AgentReader(std::move(database));
}

Result<AgentRows> AgentReader::rows(std::string_view kind) {
    TRY(database_.begin_read());
    AgentRows read;
    auto position = read_position(database_);
    auto rows = read_rows(database_, kind);
    database_.rollback();
    if (!position) return core::pass(std::move(position));
    if (!rows) return core::pass(std::move(rows));
    return AgentRows{*position, std::move(*rows)};
}

Result<std::optional<wire::AgentRow>> AgentReader::row(std::string_view kind, std::string_view key) {
    TRY_ASSIGN(
        auto cursor,
        database_.query("SELECT kind, key, row, version FROM rows WHERE kind = ? AND key = ?", {kind, key}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<wire::AgentRow>();
    return std::optional(read_row(cursor.row()));
}

}  // namespace smackd::storage::agent
