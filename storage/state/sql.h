// SQL for people: one SELECT over state.db, read-only by authorizer, limited in time, rows and bytes.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {

struct SqlLimits {
    core::Duration time{core::seconds(5)};
    size_t rows = 10'000;
    size_t bytes = 8 * 1024 * 1024;  ///< of all values together
};

/// NULL, integer, real, text, or bytes.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string, std::vector<uint8_t>>;

struct SqlResult {
    std::vector<std::string> columns;
    std::vector<std::vector<SqlValue>> rows;
    bool truncated = false;  ///< there were more rows than the limits allow
    ReadPoint point;
};

inline constexpr size_t kSqlTextBytesMax = 64 * 1024;

/// A connection for such queries; one thread at a time.
class SqlReader {
 public:
    SqlReader(ReaderOptions options, const core::Clock& clock)
        : options_(std::move(options)), clock_(clock) {}

    /// kInvalid: a syntax error, an unknown table, or more than one statement; kDenied: anything but reading
    /// tables of the state (names what); kTimeout: over the time limit.
    core::Result<SqlResult> run(std::string_view text, const SqlLimits& limits);

 private:
    struct Deadline {
        const core::Clock* clock = nullptr;
        core::Instant at;
    };
    core::Result<void> open();
    core::Result<SqlResult> collect(std::string_view text, const SqlLimits& limits);

    ReaderOptions options_;
    const core::Clock& clock_;
    Deadline deadline_;
    uint64_t generation_ = 0;
    std::optional<sqlite::Database> database_;
};

}  // namespace smackd::storage::state
