#include "storage/state/sql.h"

#include <sqlite3.h>

#include <array>
#include <format>

namespace smackd::storage::state {
namespace {

constexpr int kProgressSteps = 2'000;  // virtual machine steps between looks at the clock
// The clock is looked at between steps; these keep a single step (LIKE, instr(), printf()) short.
constexpr int kValueBytesMax = 512 * 1024;
constexpr int kPatternBytesMax = 256;
constexpr int kCompoundSelectMax = 20;
constexpr int kColumnsMax = 256;

/// Results of commands are for their proposers.
constexpr std::array<std::string_view, 1> kHiddenTables = {"results"};

/// Runs while a statement is prepared: only reading is let through.
int authorize(void*, int action, const char* first, const char*, const char*, const char*) {
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_READ:
            for (const std::string_view hidden : kHiddenTables) {
                if (first != nullptr && hidden == first) return SQLITE_DENY;
            }
            return SQLITE_OK;
        default:
            return SQLITE_DENY;
    }
}

SqlValue value_of(const sqlite::Statement& row, int column, size_t& bytes) {
    bytes += sizeof(SqlValue);
    switch (row.type(column)) {
        case sqlite::ColumnType::kNull:
            return std::monostate{};
        case sqlite::ColumnType::kInteger:
            return row.integer(column);
        case sqlite::ColumnType::kReal:
            return row.real(column);
        case sqlite::ColumnType::kText:
            bytes += row.text(column).size();
            return std::string(row.text(column));
        case sqlite::ColumnType::kBlob:
            break;
    }
    const core::BytesView blob = row.blob(column);
    bytes += blob.size();
    return std::vector<uint8_t>(blob.begin(), blob.end());
}

}  // namespace

core::Result<void> SqlReader::open() {
    const uint64_t now = options_.generation ? options_.generation->load(std::memory_order_acquire) : 0;
    if (database_ && now == generation_) return {};
    database_.reset();
    generation_ = now;
    TRY_ASSIGN(auto database, sqlite::Database::open(options_.vfs, options_.directory + "/state.db",
                                                     sqlite::Access::kReadOnly));
    database_.emplace(std::move(database));
    sqlite3* handle = database_->handle();
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kValueBytesMax);
    sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kPatternBytesMax);
    sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(kSqlTextBytesMax));
    sqlite3_limit(handle, SQLITE_LIMIT_COMPOUND_SELECT, kCompoundSelectMax);
    sqlite3_limit(handle, SQLITE_LIMIT_COLUMN, kColumnsMax);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_progress_handler(
        handle, kProgressSteps,
        [](void* self) {
            const auto* deadline = static_cast<const Deadline*>(self);
            return deadline->clock != nullptr && deadline->clock->now() >= deadline->at ? 1 : 0;
        },
        &deadline_);
    return {};
}

core::Result<SqlResult> SqlReader::run(std::string_view text, const SqlLimits& limits) {
    if (text.size() > kSqlTextBytesMax) {
        return core::fail(core::Errc::kInvalid, "SQL: {} bytes, the limit is {}", text.size(),
                          kSqlTextBytesMax);
    }
    TRY(open());
    TRY(database_->begin_read());
    deadline_ = {&clock_, clock_.now() + limits.time};
    auto result = collect(text, limits);
    deadline_ = {};
    sqlite3_set_authorizer(database_->handle(), nullptr, nullptr);
    database_->rollback();
    return result;
}

core::Result<SqlResult> SqlReader::collect(std::string_view text, const SqlLimits& limits) {
    TRY_ASSIGN(const Position position, Position::load(*database_));
    SqlResult result;
    result.point = {position.current(), core::Index{position.applied_index}, position.feature_level,
                    position.time_ms};
    sqlite3_set_authorizer(database_->handle(), authorize, nullptr);
    auto prepared = database_->prepare(text);
    if (!prepared && prepared.error().code == core::Errc::kDenied) {
        return core::fail(core::Errc::kDenied,
                          "SQL: only SELECT over the tables of the state is allowed here");
    }
    if (!prepared) return core::pass(std::move(prepared), "SQL");
    sqlite::Statement& statement = *prepared;
    if (!statement.read_only()) return core::fail(core::Errc::kDenied, "SQL: only SELECT is allowed here");
    for (int i = 0; i < statement.columns(); ++i) result.columns.emplace_back(statement.name(i));
    size_t bytes = 0;
    while (true) {
        auto more = statement.step();
        if (!more && more.error().code == core::Errc::kTimeout) {
            return core::fail(core::Errc::kTimeout, "SQL: stopped after {} ms; ask for less, or by a key",
                              std::chrono::duration_cast<core::milliseconds>(limits.time).count());
        }
        if (!more) return core::pass(std::move(more), "SQL");
        if (!*more) return result;
        if (result.rows.size() == limits.rows) break;
        std::vector<SqlValue> row;
        for (int i = 0; i < statement.columns(); ++i) row.push_back(value_of(statement, i, bytes));
        if (bytes > limits.bytes) break;
        result.rows.push_back(std::move(row));
    }
    result.truncated = true;
    return result;
}

}  // namespace smackd::storage::state
