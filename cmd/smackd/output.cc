#include "cmd/smackd/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <format>

namespace smackd::cmd {
namespace {

// Columns are aligned by characters, not bytes: continuation bytes of UTF-8 take no place.
size_t width_of(std::string_view text) {
    return static_cast<size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// A name or message from elsewhere must not move the cursor of the terminal that shows it.
std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return out;
}

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        ssize_t wrote = ::write(descriptor, text.data(), text.size());
        if (wrote < 0) {
            if (errno == EINTR) continue;
            std::_Exit(1);
        }
        text.remove_prefix(static_cast<size_t>(wrote));
    }
}

}  // namespace

void print(std::string_view text) {
    write_all(STDOUT_FILENO, text);
}

std::string cell_text(const core::Json& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) return value.as_string().empty() ? "-" : printable(value.as_string());
    if (value.is_bool()) return value.as_bool() ? "yes" : "no";
    if (!value.is_array() && !value.is_object()) return value.dump();
    std::string out;
    auto add = [&out](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
    for (const core::Json& element : value.as_array()) add(cell_text(element));
    for (const auto& [name, member] : value.as_object()) add(printable(name) + "=" + cell_text(member));
    return out.empty() ? "-" : out;
}

std::string date_text(int64_t unix_ms) {
    const std::chrono::sys_seconds at{std::chrono::seconds(unix_ms / 1000)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{at - day};
    return std::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()), 0);
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

void Output::say(std::string_view text) {
    if (!json_) print(std::string(text) + "\n");
}

void Output::document(const core::Json& value) {
    if (json_) print(value.dump_pretty() + "\n");
}

void Output::table(std::string_view name, const core::Json& rows, const std::vector<Column>& columns,
                   std::string_view when_empty) {
    if (json_) return document(core::Json::object().set(name, rows.is_array() ? rows : core::Json::array()));
    if (rows.as_array().empty()) return say(when_empty);
    std::vector<std::vector<std::string>> cells(1);
    for (const Column& column : columns) cells.front().emplace_back(column.heading);
    for (const core::Json& row : rows.as_array()) {
        auto& line = cells.emplace_back();
        for (const Column& column : columns) line.push_back(cell_text(row[column.member]));
    }
    print(format_table(cells));
}

void Output::record(const core::Json& object, const std::vector<Column>& columns) {
    if (json_) return document(object);
    std::vector<std::vector<std::string>> cells;
    for (const Column& column : columns) {
        cells.push_back({std::string(column.heading), cell_text(object[column.member])});
    }
    print(format_table(cells));
}

void Output::error(const core::Error& error) {
    if (json_) {
        core::Json document;
        document.set("error", core::errc_name(error.code)).set("message", error.message);
        write_all(STDERR_FILENO, document.dump() + "\n");
        return;
    }
    write_all(STDERR_FILENO, "smackd: " + printable(error.message) + "\n");
}

}  // namespace smackd::cmd
