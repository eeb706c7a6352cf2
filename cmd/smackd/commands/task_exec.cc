#include "cmd/smackd/commands/task_exec.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cmd/smackd/client/console.h"
#include "core/utf8.h"
#include "net/scope.h"
#include "services/api/exec_message.h"

namespace smackd::cmd {

using core::Errc;
using core::Result;
using net::http::WebSocket;
using services::ExecNews;
using Kind = net::http::WebSocketMessage::Kind;

namespace {

TerminalFacts terminal_facts() {
    const char* name = std::getenv("TERM");
    return {::isatty(STDIN_FILENO) == 1, ::isatty(STDOUT_FILENO) == 1, name == nullptr ? "" : name};
}

Result<void> write_output(const ExecNews& news) {
    std::string_view rest = news.output;
    while (!rest.empty()) {
        const ssize_t put =
            ::write(news.error_stream ? STDERR_FILENO : STDOUT_FILENO, rest.data(), rest.size());
        if (put < 0 && errno != EINTR && errno != EAGAIN)
            return core::fail_errno(errno, "writing the output");
        if (put > 0) rest.remove_prefix(static_cast<size_t>(put));
    }
    return {};
}

/// The exit code of the program.
net::Task<Result<int>> print_output(WebSocket& socket, Output& output) {
    for (;;) {
        CO_TRY_ASSIGN(const auto message, co_await socket.read());
        if (message.kind == Kind::kClose)
            co_return core::fail(Errc::kUnavailable, "the server ended the session");
        CO_TRY_ASSIGN(const ExecNews news, services::exec_news_from_message(message));
        CO_TRY(write_output(news));
        if (news.error && !news.exit_code) co_return std::unexpected(*news.error);
        if (news.error) output.error(*news.error);
        if (news.exit_code) co_return *news.exit_code;
    }
}

net::Task<Result<void>> pass_on(WebSocket& socket, ConsoleEvent event) {
    using services::ExecStreamByte;
    if (event.kind == ConsoleEvent::Kind::kInput)
        co_return co_await socket.write(Kind::kBinary,
                                        services::exec_piece(ExecStreamByte::kInput, event.bytes));
    const TerminalSize size = terminal_size();
    const core::Json said = event.kind == ConsoleEvent::Kind::kEndOfInput
                                ? services::exec_end_to_json()
                                : services::exec_resize_to_json(size.rows, size.columns);
    co_return co_await socket.write(Kind::kText, said.dump());
}

/// Until the connection is gone, which the reader of the output notices.
net::Task<void> pass_input(WebSocket& socket, Console& console) {
    for (;;) {
        auto event = co_await console.next();
        if (!event) co_return;
        auto sent = co_await pass_on(socket, std::move(*event));
        if (!sent) co_return;
    }
}

net::Task<void> wait_for_signal(Console& console, net::Cancellation& running, int& number) {
    auto stopped = co_await console.stopped();
    if (!stopped) co_return;
    number = *stopped;
    running.cancel({Errc::kCancelled, "stopped by a signal", 0});
}

/// Until the program has ended or a signal ends us; the exit code of either.
net::Task<Result<int>> run(Console& console, WebSocket& socket, ExecPlan plan, Output& output) {
    const bool terminal = plan.exec.tty();
    const TerminalSize size = terminal_size();
    plan.exec.set_rows(size.rows);
    plan.exec.set_columns(size.columns);
    std::string first = services::exec_to_json(plan.exec).dump();
    if (first.size() > net::http::kWebSocketMessageBytesMax)
        co_return core::fail(Errc::kInvalid, "CMD: with --env longer than {} bytes",
                             net::http::kWebSocketMessageBytesMax);
    CO_TRY(co_await socket.write(Kind::kText, std::move(first)));
    if (!plan.input && !terminal)
        CO_TRY(co_await socket.write(Kind::kText, services::exec_end_to_json().dump()));
    console.begin(plan.input);
    std::optional<RawMode> raw;
    if (terminal && plan.input) raw.emplace();
    net::Cancellation running;
    int signal = 0;
    net::Scope beside(console.loop());
    beside.spawn(pass_input(socket, console));
    beside.spawn(wait_for_signal(console, running, signal));
    net::Under<Result<int>> under{print_output(socket, output), &running};
    auto ended = co_await under;
    co_await beside.close();
    if (signal != 0) co_return kSignalExitBase + signal;
    co_return ended;
}

}  // namespace

Result<ExecPlan> exec_plan(const Arguments& arguments, const TerminalFacts& terminal) {
    ExecPlan plan;
    const bool both = terminal.input && terminal.output;
    if (arguments.has("--tty") && arguments.has("--no-tty"))
        return core::fail(Errc::kInvalid, "--tty and --no-tty exclude each other");
    plan.exec.set_tty(arguments.has("--tty") || (both && !arguments.has("--no-tty")));
    plan.input = arguments.has("--interactive") || (plan.exec.tty() && terminal.input);
    for (const std::string& word : arguments.all("CMD")) {
        if (!core::is_utf8(word)) return core::fail(Errc::kInvalid, "CMD: must be UTF-8");
        plan.exec.add_words(word);
    }
    plan.exec.set_user(arguments.value("--user"));
    plan.exec.set_working_directory(arguments.value("--workdir"));
    if (plan.exec.tty() && !terminal.name.empty()) {
        auto* name = plan.exec.add_environment();
        name->set_name("TERM");
        name->set_value(terminal.name);
    }
    for (const std::string& pair : arguments.all("--env")) {
        const size_t equals = pair.find('=');
        if (equals == 0 || equals == std::string::npos)
            return core::fail(Errc::kInvalid, "--env '{}': must be KEY=VALUE", pair.substr(0, 64));
        auto* variable = plan.exec.add_environment();
        variable->set_name(pair.substr(0, equals));
        variable->set_value(pair.substr(equals + 1));
    }
    return plan;
}

Result<void> task_exec(Context& context) {
    auto plan = exec_plan(context.arguments, terminal_facts());
    if (!plan) return context.usage(plan.error().message);
    Console::block_signals();
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    Console console(client->loop());
    TRY_ASSIGN(const std::string task, meant_task(*client, context.arguments.value("TASK")));
    TRY_ASSIGN(auto socket,
               client->open_socket(std::format("/smack/v1/tasks/{}/exec", net::http::percent_encode(task))));
    TRY_ASSIGN(context.exit_code,
               net::block_on(client->loop(), run(console, *socket, std::move(*plan), context.output)));
    return {};
}

}  // namespace smackd::cmd
