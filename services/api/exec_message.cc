#include "services/api/exec_message.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "core/planted.h"
#include "services/api/fields.h"

namespace smackd::services {

using core::Errc;
using core::Error;
using core::fail;
using core::Json;
using core::Result;
using net::http::WebSocketMessage;
using Kind = WebSocketMessage::Kind;

namespace {

constexpr int kCannotRun = 126;  // as shells say it
constexpr int kNotFound = 127;
constexpr int kSignalBase = 128;

Result<Json> object_of(const WebSocketMessage& message) {
    if (message.kind != Kind::kText) return fail(Errc::kInvalid, "message: must be text with a JSON object");
    auto parsed = Json::parse(message.bytes);
    if (!parsed) return core::pass(std::move(parsed), "message");
    if (!parsed->is_object()) return fail(Errc::kInvalid, "message: must be a JSON object");
    return parsed;
}

/// The kernel takes texts that end at their first zero byte.
Result<void> check_text(std::string_view name, std::string_view text) {
    if (text.contains('\0') && !SMACK_BUG("fuzz_exec_message"))
        return fail(Errc::kInvalid, "{}: must not contain a zero byte", name);
    return {};
}

Result<void> check_exec(const wire::ShimExec& exec) {
    if (exec.words().empty() || exec.words(0).empty())
        return fail(Errc::kInvalid, "words: must name a program");
    if (static_cast<size_t>(exec.words_size()) > kExecWordsMax)
        return fail(Errc::kInvalid, "words: {}, the limit is {}", exec.words_size(), kExecWordsMax);
    for (const std::string& word : exec.words()) TRY(check_text("words", word));
    if (static_cast<size_t>(exec.environment_size()) > kExecVariablesMax)
        return fail(Errc::kInvalid, "env: {} variables, the limit is {}", exec.environment_size(),
                    kExecVariablesMax);
    for (const wire::TaskVariable& variable : exec.environment()) {
        if (variable.name().empty() || variable.name().contains('='))
            return fail(Errc::kInvalid, "env '{}': a name must not be empty or contain '='",
                        variable.name().substr(0, 64));
        TRY(check_text("env", variable.name()));
        TRY(check_text("env", variable.value()));
    }
    TRY(check_text("user", exec.user()));
    TRY(check_text("cwd", exec.working_directory()));
    if (!exec.working_directory().empty() && !exec.working_directory().starts_with('/'))
        return fail(Errc::kInvalid, "cwd '{}': must be an absolute path",
                    exec.working_directory().substr(0, 64));
    return {};
}

/// The signal or exit code, as a shell gives it.
int code_of(const Json& exit) {
    const int64_t signal = exit["signal"].as_integer();
    const int64_t code = signal > 0 ? kSignalBase + signal : exit["code"].as_integer();
    return static_cast<int>(std::clamp<int64_t>(code, 0, 255));
}

Errc code_of_name(std::string_view name) {
    for (uint8_t value = 1; value <= static_cast<uint8_t>(Errc::kUnknownOutcome); ++value) {
        if (core::errc_name(static_cast<Errc>(value)) == name) return static_cast<Errc>(value);
    }
    return Errc::kUnavailable;
}

}  // namespace

Result<wire::ShimExec> exec_from_message(const WebSocketMessage& message) {
    TRY_ASSIGN(const Json body, object_of(message));
    Fields fields(body);
    wire::ShimExec exec;
    for (std::string& word : fields.texts("words")) exec.add_words(std::move(word));
    for (const auto& [name, value] : fields.text_map("env")) {
        wire::TaskVariable* variable = exec.add_environment();
        variable->set_name(name);
        variable->set_value(value);
    }
    exec.set_user(fields.text("user"));
    exec.set_working_directory(fields.text("cwd"));
    exec.set_tty(fields.boolean("tty"));
    exec.set_rows(static_cast<uint32_t>(fields.integer("rows", kExecRowsDefault, 1, kExecRowsMax)));
    exec.set_columns(static_cast<uint32_t>(fields.integer("columns", kExecColumnsDefault, 1, kExecRowsMax)));
    TRY(fields.finish());
    TRY(check_exec(exec));
    return exec;
}

Result<wire::ShimExecInput> exec_input_from_message(const WebSocketMessage& message) {
    wire::ShimExecInput input;
    if (message.kind == Kind::kBinary) {
        if (message.bytes.empty() || message.bytes[0] != static_cast<char>(ExecStreamByte::kInput))
            return fail(Errc::kInvalid, "message: a binary one begins with byte 0 (standard input)");
        input.set_bytes(message.bytes.substr(1));
        return input;
    }
    TRY_ASSIGN(const Json body, object_of(message));
    if (const Json* size = body.find("resize")) {
        Fields fields(*size);
        input.set_rows(static_cast<uint32_t>(fields.integer("rows", 0, 1, kExecRowsMax)));
        input.set_columns(static_cast<uint32_t>(fields.integer("columns", 0, 1, kExecRowsMax)));
        TRY(fields.finish());
        if (input.rows() == 0 || input.columns() == 0)
            return fail(Errc::kInvalid, "resize: rows and columns are required");
        return input;
    }
    input.set_end(body["end"].as_bool());
    if (!input.end()) return fail(Errc::kInvalid, "message: must have resize, or end: true");
    return input;
}

Json exec_to_json(const wire::ShimExec& exec) {
    Json words = Json::array();
    for (const std::string& word : exec.words()) words.push(word);
    Json environment = Json::object();
    for (const wire::TaskVariable& variable : exec.environment())
        environment.set(variable.name(), variable.value());
    Json json;
    json.set("words", std::move(words)).set("env", std::move(environment));
    json.set("user", exec.user()).set("cwd", exec.working_directory()).set("tty", exec.tty());
    if (exec.rows() > 0) json.set("rows", exec.rows()).set("columns", exec.columns());
    return json;
}

Json exec_resize_to_json(uint32_t rows, uint32_t columns) {
    return Json::object().set("resize", Json::object().set("rows", rows).set("columns", columns));
}

Json exec_end_to_json() {
    return Json::object().set("end", true);
}

core::Bytes exec_piece(ExecStreamByte stream, core::BytesView bytes) {
    core::Bytes piece(1, static_cast<char>(stream));
    return piece.append(bytes);
}

Json exec_exit_to_json(const wire::ShimExecExit& exit) {
    Json json;
    if (exit.has_failed()) {
        const bool missing = exit.failed().step() == "execve" && exit.failed().errno_value() == ENOENT;
        json = exec_error_to_json({missing ? Errc::kNotFound : Errc::kInvalid, exit.failed().message(), 0});
        return json.set("exit", Json::object().set("code", missing ? kNotFound : kCannotRun));
    }
    if (exit.signal() != 0) return json.set("exit", Json::object().set("signal", exit.signal()));
    return json.set("exit", Json::object().set("code", exit.code()));
}

Json exec_error_to_json(const Error& error) {
    return Json::object().set(
        "error", Json::object().set("code", core::errc_name(error.code)).set("message", error.message));
}

Result<ExecNews> exec_news_from_message(const WebSocketMessage& message) {
    ExecNews news;
    if (message.kind == Kind::kBinary) {
        const uint8_t stream = message.bytes.empty() ? 0 : static_cast<uint8_t>(message.bytes[0]);
        news.error_stream = stream == static_cast<uint8_t>(ExecStreamByte::kErrorOutput);
        if (!news.error_stream && stream != static_cast<uint8_t>(ExecStreamByte::kOutput))
            return fail(Errc::kCorrupt, "the server sent output of no stream");
        news.output = message.bytes.substr(1);
        return news;
    }
    TRY_ASSIGN(const Json body, object_of(message));
    if (const Json* error = body.find("error")) {
        news.error = Error{code_of_name((*error)["code"].as_string()), (*error)["message"].as_string(), 0};
    }
    if (const Json* exit = body.find("exit")) news.exit_code = code_of(*exit);
    if (!news.error && !news.exit_code) return fail(Errc::kCorrupt, "the server sent a message of no kind");
    return news;
}

}  // namespace smackd::services
