// SQLite as we use it: one connection, statements that are prepared once, values in, values out, Result
// errors.
//
// SQLITE_FULL is kDiskFull, SQLITE_IOERR kIo, SQLITE_CORRUPT, SQLITE_NOTADB and a wrong page checksum
// kCorrupt, SQLITE_BUSY kBusy, an interrupted query kTimeout. A Database belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "core/bytes.h"
#include "core/result.h"
#include "storage/sqlite/vfs.h"

struct sqlite3;
struct sqlite3_stmt;

namespace smackd::storage::sqlite {

/// A byte string that is no text.
struct Blob {
    core::BytesView bytes;
};

/// A parameter. Text and blobs are views that must live until the statement is done.
class Value {
 public:
    Value(int value) : held_(static_cast<int64_t>(value)) {}           // NOLINT(google-explicit-constructor)
    Value(uint32_t value) : held_(static_cast<int64_t>(value)) {}      // NOLINT(google-explicit-constructor)
    Value(int64_t value) : held_(value) {}                             // NOLINT(google-explicit-constructor)
    Value(uint64_t value) : held_(static_cast<int64_t>(value)) {}      // NOLINT(google-explicit-constructor)
    Value(bool value) : held_(static_cast<int64_t>(value ? 1 : 0)) {}  // NOLINT(google-explicit-constructor)
    Value(std::string_view value) : held_(value) {}                    // NOLINT(google-explicit-constructor)
    Value(const std::string& value)
        : held_(std::string_view(value)) {}                       // NOLINT(google-explicit-constructor)
    Value(const char* value) : held_(std::string_view(value)) {}  // NOLINT(google-explicit-constructor)
    Value(Blob value) : held_(value) {}                           // NOLINT(google-explicit-constructor)

 private:
    friend class Statement;
    std::variant<int64_t, std::string_view, Blob> held_;
};
using Values = std::initializer_list<Value>;

enum class ColumnType : uint8_t { kNull, kInteger, kReal, kText, kBlob };

/// A prepared statement. Reset before it is used again; views of a row live until the next step().
class Statement {
 public:
    /// True while there is a row to look at.
    core::Result<bool> step();
    void reset();
    core::Result<void> bind(Values values);

    int columns() const;
    std::string_view name(int column) const;
    ColumnType type(int column) const;
    int64_t integer(int column) const;
    uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
    double real(int column) const;
    std::string_view text(int column) const;
    core::BytesView blob(int column) const;
    /// True when it changes nothing (SELECT and the like).
    bool read_only() const;

 private:
    friend class Database;
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    Statement(sqlite3_stmt* statement, const std::string& path) : statement_(statement), path_(path) {}
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    const std::string& path_;  // the database's, for messages
};

/// A query being read; frees its statement for the next use when it goes out of scope.
class Cursor {
 public:
    explicit Cursor(Statement& statement) : statement_(&statement) {}
    Cursor(Cursor&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
    Cursor& operator=(Cursor&& other) noexcept {
        std::swap(statement_, other.statement_);
        return *this;
    }
    ~Cursor() {
        if (statement_ != nullptr) statement_->reset();
    }
    core::Result<bool> next() { return statement_->step(); }
    const Statement& row() const { return *statement_; }

 private:
    Statement* statement_;
};

enum class Access : uint8_t {
    kReadOnly,   ///< must exist; WAL readers
    kReadWrite,  ///< must exist
    kCreate,     ///< made when absent, with page checksums
    kImmutable,  ///< must exist and not change while open: no locks, no WAL; for the files of a snapshot
};

struct WalSize {
    uint64_t frames = 0;        ///< in the WAL
    uint64_t checkpointed = 0;  ///< of them in the database file
};

class Database {
 public:
    /// Opens `path` in WAL mode (except kImmutable), synchronous=NORMAL, no checkpoint on its own, temporary
    /// tables in memory, no page of a transaction in the WAL before its commit. The Vfs outlives it.
    static core::Result<Database> open(const Vfs& vfs, const std::string& path, Access access);
    /// Makes `path` anew as the destination of copy_to: one file, no WAL, synced at commit.
    static core::Result<Database> open_copy(const Vfs& vfs, const std::string& path);
    Database(Database&&) noexcept;
    Database& operator=(Database&&) noexcept;
    ~Database();

    const std::string& path() const;
    /// Runs statements without parameters and results.
    core::Result<void> execute(const char* sql);
    /// Prepares without keeping; exactly one statement (kInvalid when there is more text).
    core::Result<Statement> prepare(std::string_view sql);
    /// Runs one statement to its end. `sql` is a literal: the prepared form is kept under its address.
    core::Result<void> run(const char* sql, Values values = {});
    core::Result<Cursor> query(const char* sql, Values values = {});
    /// The first column of the first row, or `fallback` without one.
    core::Result<int64_t> integer(const char* sql, Values values = {}, int64_t fallback = 0);
    /// Rows that the last INSERT, UPDATE or DELETE touched.
    int64_t changes() const;

    core::Result<void> begin_write();
    /// Begins a read transaction and pins the snapshot at once.
    core::Result<void> begin_read();
    core::Result<void> commit();
    /// Ends the transaction if there is one; never fails.
    void rollback();
    bool in_transaction() const;

    /// Copies what it can of the WAL into the database file, waiting for nobody. `truncate` also empties the
    /// WAL and is kBusy when somebody reads from it.
    core::Result<WalSize> checkpoint(bool truncate);
    uint64_t wal_frames() const;

    /// Reads every page of the database file (not the WAL) against its checksum; kCorrupt names the page.
    core::Result<void> verify_pages();
    /// SQLite's own check of trees, indexes and constraints; kCorrupt tells the first finding.
    core::Result<void> verify_structure();
    /// Copies all pages as this connection's transaction sees them.
    core::Result<void> copy_to(Database& destination);

    /// For authorizer, progress handler and limits; the connection stays the owner.
    sqlite3* handle();
    core::Error error_of(int code) const;

 private:
    struct Connection;
    explicit Database(std::unique_ptr<Connection> connection);
    static core::Result<Database> open_handle(const Vfs& vfs, const std::string& path, int flags);
    core::Result<Statement*> cached(const char* sql);
    std::unique_ptr<Connection> connection_;
};

}  // namespace smackd::storage::sqlite
