// What a command prints: tables and sentences for people, one JSON document for programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace smackd::cmd {

/// One column of a table: its heading and the member of each row it shows.
struct Column {
    std::string_view heading;
    std::string_view member;
};

class Output {
 public:
    explicit Output(bool json) : json_(json) {}

    bool json() const { return json_; }
    /// A sentence for people; nothing with --json.
    void say(std::string_view text);
    /// The JSON document with --json; nothing for people.
    void document(const core::Json& value);
    /// `rows` is an array of objects; people get a table (or `when_empty`), programs `{"NAME": rows}`.
    void table(std::string_view name, const core::Json& rows, const std::vector<Column>& columns,
               std::string_view when_empty);
    /// One object: people get "name  value" lines for the columns, programs the object.
    void record(const core::Json& object, const std::vector<Column>& columns);
    /// An error on stderr: "smackd: MESSAGE", or {"error": CODE, "message": ...}.
    void error(const core::Error& error);

 private:
    bool json_;
};

/// How a JSON value stands in a table cell: strings bare, arrays joined by ", ", objects as "NAME=VALUE,
/// ...", null and what is empty as "-".
std::string cell_text(const core::Json& value);

/// "2026-01-02 03:04:05" of a Unix time in milliseconds, UTC.
std::string date_text(int64_t unix_ms);

/// Rows of cells aligned in columns, two spaces apart, no trailing blanks. The first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

/// Writes to standard output at once; a closed pipe ends the process quietly with code 1.
void print(std::string_view text);

}  // namespace smackd::cmd
