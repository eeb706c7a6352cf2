#include "core/logger.h"

namespace smackd::core {
namespace {

void append_escaped(std::string& out, std::string_view value) {
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (byte < 0x20 || byte == 0x7F) {
            out += std::format("\\x{:02x}", byte);
        } else {
            out.push_back(c);
        }
    }
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (const char c : value) {
        if (c == ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ||
            c == 0x7F)
            return true;
    }
    return false;
}

}  // namespace

std::string_view log_level_name(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return "debug";
        case LogLevel::kInfo:
            return "info";
        case LogLevel::kWarning:
            return "warning";
        case LogLevel::kError:
            return "error";
    }
    return "error";
}

std::string format_log_line(std::string_view text, std::initializer_list<LogField> fields) {
    std::string line;
    append_escaped(line, text);
    for (const LogField& field : fields) {
        line.push_back(' ');
        line += field.key;
        line.push_back('=');
        if (needs_quotes(field.value)) {
            line.push_back('"');
            append_escaped(line, field.value);
            line.push_back('"');
        } else {
            line += field.value;
        }
    }
    return line;
}

void Logger::write(LogLevel level, std::string_view text, std::initializer_list<LogField> fields) const {
    if (sink_ == nullptr) return;
    sink_->write(level, component_, format_log_line(text, fields));
}

void Logger::debug(std::string_view text, std::initializer_list<LogField> fields) const {
    write(LogLevel::kDebug, text, fields);
}
void Logger::info(std::string_view text, std::initializer_list<LogField> fields) const {
    write(LogLevel::kInfo, text, fields);
}
void Logger::warning(std::string_view text, std::initializer_list<LogField> fields) const {
    write(LogLevel::kWarning, text, fields);
}
void Logger::error(std::string_view text, std::initializer_list<LogField> fields) const {
    write(LogLevel::kError, text, fields);
}

}  // namespace smackd::core
