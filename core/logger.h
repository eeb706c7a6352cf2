// Structured log lines: level, component, message, key=value fields; one line each.
//
// `info` is for operators, `debug` for us. A secret, token or keytab is never a field.
#pragma once

#include <cstdint>
#include <format>
#include <initializer_list>
#include <string>
#include <string_view>

namespace smackd::core {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

std::string_view log_level_name(LogLevel level);

/// Where lines go; must be callable from any thread.
class LogSink {
 public:
    virtual ~LogSink() = default;
    virtual void write(LogLevel level, std::string_view component, std::string_view line) = 0;
};

struct LogField {
    std::string_view key;
    std::string value;

    LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
    LogField(std::string_view k, const char* v) : key(k), value(v) {}
    LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
    template <class T>
        requires std::is_arithmetic_v<T>
    LogField(std::string_view k, T v) : key(k), value(std::format("{}", v)) {}
};

/// A component's handle to a sink; cheap to copy. The sink outlives it.
class Logger {
 public:
    Logger() = default;  ///< logs nowhere
    Logger(LogSink* sink, std::string_view component) : sink_(sink), component_(component) {}

    Logger named(std::string_view component) const { return Logger(sink_, component); }

    void debug(std::string_view text, std::initializer_list<LogField> fields = {}) const;
    void info(std::string_view text, std::initializer_list<LogField> fields = {}) const;
    void warning(std::string_view text, std::initializer_list<LogField> fields = {}) const;
    void error(std::string_view text, std::initializer_list<LogField> fields = {}) const;

 private:
    void write(LogLevel level, std::string_view text, std::initializer_list<LogField> fields) const;

    LogSink* sink_ = nullptr;
    std::string component_;
};

/// `text key=value key="quoted value"`; control characters are escaped so that a value cannot forge a line.
std::string format_log_line(std::string_view text, std::initializer_list<LogField> fields);

}  // namespace smackd::core
