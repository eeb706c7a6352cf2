#include "storage/sqlite/database.h"

#include <sqlite3.h>

#include <format>

#include "core/assert.h"
#include "storage/sqlite/page.h"

namespace smackd::storage::sqlite {
namespace {

constexpr int kPagesPerCopyStep = 256;
// Another process (the KDC) holds realm.db's locks for microseconds; a writer that meets it there waits and
// does not fail.
constexpr int kBusyWaitMs = 100;

core::Errc errc_of(int code) {
    // A reader that came while the WAL's index must be made anew, which only the writer may do: a moment
    // later it is.
    if (code == SQLITE_READONLY_RECOVERY || code == SQLITE_READONLY_CANTINIT) return core::Errc::kBusy;
    if (code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_CORRUPTFS) return core::Errc::kCorrupt;
    switch (code & 0xFF) {
        case SQLITE_FULL:
            return core::Errc::kDiskFull;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return core::Errc::kCorrupt;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return core::Errc::kBusy;
        case SQLITE_INTERRUPT:
            return core::Errc::kTimeout;
        case SQLITE_CANTOPEN:
            return core::Errc::kNotFound;
        case SQLITE_AUTH:
            return core::Errc::kDenied;
        case SQLITE_ERROR:
        case SQLITE_RANGE:
        case SQLITE_TOOBIG:
        case SQLITE_MISMATCH:
            return core::Errc::kInvalid;
        case SQLITE_CONSTRAINT:
            return core::Errc::kConflict;
        default:
            return core::Errc::kIo;
    }
}

core::Error make_error(const std::string& path, sqlite3* handle, int code) {
    const char* text = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    // The connection's message can be about an earlier call when the code did not come from it.
    if (handle != nullptr && sqlite3_extended_errcode(handle) != code) text = sqlite3_errstr(code);
    if (code == SQLITE_IOERR_DATA) {
        return {core::Errc::kCorrupt, std::format("{} does not match its checksum", last_damage()), 0};
    }
    return {errc_of(code), std::format("{}: {} (SQLite {})", path, text, code), 0};
}

int64_t file_pages(sqlite3_file* file, int& rc) {
    sqlite3_int64 bytes = 0;
    rc = file->pMethods->xFileSize(file, &bytes);
    return (bytes + static_cast<int64_t>(kPageBytes) - 1) / static_cast<int64_t>(kPageBytes);
}

}  // namespace

struct Database::Connection {
    std::string path;
    sqlite3* handle = nullptr;
    std::unordered_map<const void*, Statement> statements;
    uint64_t wal_frames = 0;

    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        statements.clear();
        sqlite3_close_v2(handle);
    }
};

// ---- statements ----

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

core::Result<bool> Statement::step() {
    const int rc = sqlite3_step(statement_.get());
    if (rc == SQLITE_ROW) return true;
    if (rc == SQLITE_DONE) return false;
    return std::unexpected(make_error(path_, sqlite3_db_handle(statement_.get()), rc));
}

void Statement::reset() {
    sqlite3_reset(statement_.get());  // repeats the step's error, which was reported there
    sqlite3_clear_bindings(statement_.get());
}

core::Result<void> Statement::bind(Values values) {
    int position = 0;
    for (const Value& value : values) {
        ++position;
        int rc = SQLITE_OK;
        if (const auto* integer = std::get_if<int64_t>(&value.held_)) {
            rc = sqlite3_bind_int64(statement_.get(), position, *integer);
        } else if (const auto* text = std::get_if<std::string_view>(&value.held_)) {
            // A null pointer would bind NULL instead of the empty text.
            const char* bytes = text->data() != nullptr ? text->data() : "";
            rc = sqlite3_bind_text64(statement_.get(), position, bytes, text->size(), SQLITE_STATIC,
                                     SQLITE_UTF8);
        } else {
            const core::BytesView bytes = std::get<Blob>(value.held_).bytes;
            rc = bytes.empty() ? sqlite3_bind_zeroblob(statement_.get(), position, 0)
                               : sqlite3_bind_blob64(statement_.get(), position, bytes.data(), bytes.size(),
                                                     SQLITE_STATIC);
        }
        if (rc != SQLITE_OK)
            return std::unexpected(make_error(path_, sqlite3_db_handle(statement_.get()), rc));
    }
    return {};
}

int Statement::columns() const {
    return sqlite3_column_count(statement_.get());
}
std::string_view Statement::name(int column) const {
    return sqlite3_column_name(statement_.get(), column);
}

ColumnType Statement::type(int column) const {
    switch (sqlite3_column_type(statement_.get(), column)) {
        case SQLITE_INTEGER:
            return ColumnType::kInteger;
        case SQLITE_FLOAT:
            return ColumnType::kReal;
        case SQLITE_TEXT:
            return ColumnType::kText;
        case SQLITE_BLOB:
            return ColumnType::kBlob;
        default:
            return ColumnType::kNull;
    }
}

int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}
double Statement::real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
    const auto* bytes = sqlite3_column_text(statement_.get(), column);
    if (bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes),
            static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

core::BytesView Statement::blob(int column) const {
    const void* bytes = sqlite3_column_blob(statement_.get(), column);
    if (bytes == nullptr) return {};
    return {static_cast<const char*>(bytes),
            static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

bool Statement::read_only() const {
    return sqlite3_stmt_readonly(statement_.get()) != 0;
}

// ---- opening ----

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

core::Result<Database> Database::open_handle(const Vfs& vfs, const std::string& path, int flags) {
    auto connection = std::make_unique<Connection>();
    connection->path = path;
    // A '?' or '%' in a plain path means itself; only the immutable form is a URI.
    const bool uri = (flags & SQLITE_OPEN_URI) != 0;
    std::string name = path;
    if (uri) {
        name = "file:";
        for (const char c : path)
            name += c == '?' || c == '%' || c == '#' ? std::format("%{:02x}", c) : std::string(1, c);
        name += "?immutable=1";
    }
    const int rc =
        sqlite3_open_v2(name.c_str(), &connection->handle, flags | SQLITE_OPEN_EXRESCODE, vfs.name().c_str());
    if (rc != SQLITE_OK) return std::unexpected(make_error(path, connection->handle, rc));
    sqlite3* handle = connection->handle;
    int reserved = kPageReservedBytes;
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    sqlite3_busy_timeout(handle, kBusyWaitMs);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_wal_hook(
        handle,
        [](void* self, sqlite3*, const char*, int frames) {
            static_cast<Connection*>(self)->wal_frames = static_cast<uint64_t>(frames);
            return SQLITE_OK;
        },
        connection.get());
    return Database(std::move(connection));
}

core::Result<Database> Database::open(const Vfs& vfs, const std::string& path, Access access) {
    int flags = SQLITE_OPEN_READWRITE;
    if (access == Access::kReadOnly) flags = SQLITE_OPEN_READONLY;
    if (access == Access::kImmutable) flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
    if (access == Access::kCreate) flags |= SQLITE_OPEN_CREATE;
    TRY_ASSIGN(auto database, open_handle(vfs, path, flags));
    // cache_spill=OFF keeps every WAL frame final once written, which the frame check relies on.
    TRY(database.execute("PRAGMA temp_store=MEMORY; PRAGMA cache_spill=OFF; PRAGMA foreign_keys=OFF"));
    if (access == Access::kCreate || access == Access::kReadWrite) {
        TRY(database.execute("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"));
    }
    // There are many readers, and the operating system caches the file for all of them.
    if (access == Access::kReadOnly) TRY(database.execute("PRAGMA cache_size=-512"));
    // Makes SQLite read the header now, so that a file that is no database fails here.
    TRY(database.integer("SELECT count(*) FROM sqlite_schema"));
    return database;
}

core::Result<Database> Database::open_copy(const Vfs& vfs, const std::string& path) {
    TRY_ASSIGN(auto database, open_handle(vfs, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(database.execute("PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL"));
    return database;
}

// ---- running ----

const std::string& Database::path() const {
    return connection_->path;
}
sqlite3* Database::handle() {
    return connection_->handle;
}
core::Error Database::error_of(int code) const {
    return make_error(connection_->path, connection_->handle, code);
}
int64_t Database::changes() const {
    return sqlite3_changes64(connection_->handle);
}
bool Database::in_transaction() const {
    return sqlite3_get_autocommit(connection_->handle) == 0;
}
uint64_t Database::wal_frames() const {
    return connection_->wal_frames;
}

core::Result<void> Database::execute(const char* sql) {
    const int rc = sqlite3_exec(connection_->handle, sql, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return std::unexpected(error_of(rc));
    return {};
}

core::Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    const int rc = sqlite3_prepare_v3(connection_->handle, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, &rest);
    if (rc != SQLITE_OK) return std::unexpected(error_of(rc));
    Statement made(statement, connection_->path);
    if (statement == nullptr) return core::fail(core::Errc::kInvalid, "SQL: there is no statement");
    const std::string_view tail = sql.substr(static_cast<size_t>(rest - sql.data()));
    if (tail.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
        return core::fail(core::Errc::kInvalid, "SQL: exactly one statement is allowed");
    }
    return made;
}

core::Result<Statement*> Database::cached(const char* sql) {
    auto found = connection_->statements.find(sql);
    if (found == connection_->statements.end()) {
        TRY_ASSIGN(auto statement, prepare(sql));
        found = connection_->statements.emplace(sql, std::move(statement)).first;
    }
    return &found->second;
}

core::Result<Cursor> Database::query(const char* sql, Values values) {
    TRY_ASSIGN(Statement * statement, cached(sql));
    Cursor cursor(*statement);
    TRY(statement->bind(values));
    return cursor;
}

core::Result<void> Database::run(const char* sql, Values values) {
    TRY_ASSIGN(auto cursor, query(sql, values));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return {};
    }
}

core::Result<int64_t> Database::integer(const char* sql, Values values, int64_t fallback) {
    TRY_ASSIGN(auto cursor, query(sql, values));
    TRY_ASSIGN(const bool found, cursor.next());
    return found ? cursor.row().integer(0) : fallback;
}

// ---- transactions ----

core::Result<void> Database::begin_write() {
    return run("BEGIN IMMEDIATE");
}

core::Result<void> Database::begin_read() {
    TRY(run("BEGIN"));
    if (auto pinned = integer("SELECT count(*) FROM sqlite_schema"); !pinned) {
        rollback();
        return core::pass(std::move(pinned));
    }
    return {};
}

core::Result<void> Database::commit() {
    return run("COMMIT");
}

void Database::rollback() {
    // SQLite may have rolled back by itself after an error; and its own failure leaves nothing to undo.
    if (in_transaction()) sqlite3_exec(connection_->handle, "ROLLBACK", nullptr, nullptr, nullptr);
    SMACK_ASSERT(!in_transaction());
}

core::Result<WalSize> Database::checkpoint(bool truncate) {
    int frames = 0;
    int checkpointed = 0;
    const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    const int rc = sqlite3_wal_checkpoint_v2(connection_->handle, "main", mode, &frames, &checkpointed);
    if (rc != SQLITE_OK) return std::unexpected(error_of(rc));
    return WalSize{static_cast<uint64_t>(frames), static_cast<uint64_t>(checkpointed)};
}

// ---- checks and copies ----

core::Result<void> Database::verify_pages() {
    sqlite3_file* file = nullptr;
    int rc = sqlite3_file_control(connection_->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc != SQLITE_OK || file == nullptr || file->pMethods == nullptr)
        return std::unexpected(error_of(SQLITE_IOERR));
    const int64_t pages = file_pages(file, rc);
    if (rc != SQLITE_OK) return std::unexpected(error_of(rc));
    std::string page(kPageBytes, '\0');
    for (int64_t i = 0; i < pages; ++i) {
        rc = file->pMethods->xRead(file, page.data(), kPageBytes, i * static_cast<int64_t>(kPageBytes));
        if (rc == SQLITE_IOERR_SHORT_READ) {
            return core::fail(core::Errc::kCorrupt, "{}: ends in the middle of page {}", path(), i + 1);
        }
        if (rc != SQLITE_OK) return std::unexpected(error_of(rc));
    }
    return {};
}

core::Result<void> Database::verify_structure() {
    TRY_ASSIGN(auto cursor, query("PRAGMA integrity_check(1)"));
    TRY_ASSIGN(const bool found, cursor.next());
    if (found && cursor.row().text(0) == "ok") return {};
    return core::fail(core::Errc::kCorrupt, "{}: {}", path(), found ? cursor.row().text(0) : "no answer");
}

core::Result<void> Database::copy_to(Database& destination) {
    sqlite3_backup* backup = sqlite3_backup_init(destination.handle(), "main", handle(), "main");
    if (backup == nullptr)
        return std::unexpected(destination.error_of(sqlite3_extended_errcode(destination.handle())));
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK) rc = sqlite3_backup_step(backup, kPagesPerCopyStep);
    sqlite3_backup_finish(backup);
    if (rc != SQLITE_DONE) return std::unexpected(destination.error_of(rc));
    return {};
}

}  // namespace smackd::storage::sqlite
