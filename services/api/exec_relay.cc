#include "services/api/exec_relay.h"

#include "net/scope.h"

namespace smackd::services {

using agent::ExecSession;
using core::Errc;
using core::Error;
using core::fail;
using core::Result;
using net::Task;
using net::http::WebSocketMessage;
using Kind = WebSocketMessage::Kind;

namespace {

constexpr std::string_view kClientGone = "the client went away";

uint16_t close_code_of(const Error& error) {
    switch (error.code) {
        case Errc::kBusy:
            return net::http::kCloseTryLater;
        case Errc::kInvalid:
        case Errc::kNotFound:
        case Errc::kConflict:
        case Errc::kUnauthenticated:
        case Errc::kDenied:
        case Errc::kTimeout:
            return net::http::kClosePolicy;
        default:
            return net::http::kCloseInternal;
    }
}

}  // namespace

Task<Result<wire::ShimExec>> ExecRelay::first() {
    auto message =
        co_await net::with_deadline(loop_, limits_.start, "the message with the words", socket_.read());
    if (!message) co_return core::pass(std::move(message));
    if (message->kind == Kind::kClose) co_return fail(Errc::kCancelled, "{}", kClientGone);
    co_return exec_from_message(*message);
}

Task<Result<wire::ShimExecExit>> ExecRelay::run(ExecSession& session) {
    last_byte_ = loop_.now();
    net::Cancellation* outer = co_await net::current_cancellation();
    net::Cancellation relaying(outer);
    net::Scope beside(loop_);
    beside.spawn(relay_input(session, relaying));
    beside.spawn(watch(relaying));
    beside.spawn(ping(relaying));
    net::Under<Result<wire::ShimExecExit>> under{relay_output(session), &relaying};
    auto outcome = co_await under;
    // Who ended it knows better than what was cut by that.
    if (!outcome && relaying.cancelled()) outcome = std::unexpected(relaying.why());
    co_await beside.close();
    co_return outcome;
}

Task<Result<wire::ShimExecExit>> ExecRelay::relay_output(ExecSession& session) {
    for (;;) {
        CO_TRY_ASSIGN(ExecSession::Output output, co_await session.read());
        if (output.exit) co_return std::move(*output.exit);
        last_byte_ = loop_.now();
        const auto stream = output.error_stream ? ExecStreamByte::kErrorOutput : ExecStreamByte::kOutput;
        core::BytesView rest(output.bytes);
        while (!rest.empty()) {
            CO_TRY(co_await socket_.write(Kind::kBinary,
                                          exec_piece(stream, rest.substr(0, kExecPieceBytesMax))));
            rest.remove_prefix(std::min(kExecPieceBytesMax, rest.size()));
        }
    }
}

/// Until the client closes or errs, which ends the program.
Task<void> ExecRelay::relay_input(ExecSession& session, net::Cancellation& relaying) {
    for (;;) {
        auto relayed = co_await next_input(session);
        if (relayed) continue;
        relaying.cancel(std::move(relayed.error()));
        co_return;
    }
}

Task<Result<void>> ExecRelay::next_input(ExecSession& session) {
    auto message = co_await socket_.read();
    // One that breaks the protocol was told so.
    if (!message || message->kind == Kind::kClose) co_return fail(Errc::kCancelled, "{}", kClientGone);
    last_byte_ = loop_.now();
    CO_TRY_ASSIGN(wire::ShimExecInput input, exec_input_from_message(*message));
    Result<void> done;
    if (input.rows() > 0) {
        done = co_await session.resize(input.rows(), input.columns());
    } else if (input.end()) {
        done = co_await session.end_input();
    } else {
        done = co_await session.write(std::move(*input.mutable_bytes()));
    }
    static_cast<void>(done);  // a program that has ended takes no input: its output says how it ended
    co_return Result<void>();
}

Task<void> ExecRelay::watch(net::Cancellation& relaying) {
    for (;;) {
        auto looked = co_await look();
        if (looked) continue;
        relaying.cancel(std::move(looked.error()));
        co_return;
    }
}

Task<Result<void>> ExecRelay::look() {
    CO_TRY(co_await net::sleep(loop_, limits_.look));
    CO_TRY(co_await welcome_());
    if (loop_.now() - last_byte_ > limits_.idle)
        co_return fail(Errc::kTimeout, "nothing was said for {}", core::format_duration(limits_.idle));
    co_return Result<void>();
}

/// A task of its own: what is being written may wait for long, for a client that has stopped to read.
Task<void> ExecRelay::ping(net::Cancellation& relaying) {
    for (;;) {
        auto slept = co_await net::sleep(loop_, limits_.ping);
        if (!slept) co_return;
        auto sent = co_await socket_.write(Kind::kPing, {});
        if (sent) continue;
        relaying.cancel({Errc::kCancelled, std::string(kClientGone), 0});
        co_return;
    }
}

Task<void> ExecRelay::tell(Result<wire::ShimExecExit> outcome) {
    if (!outcome && outcome.error().code == Errc::kCancelled) co_return;
    const core::Json said = outcome ? exec_exit_to_json(*outcome) : exec_error_to_json(outcome.error());
    const bool ran = outcome && !outcome->has_failed();
    const uint16_t code = outcome ? uint16_t{ran ? net::http::kCloseNormal : net::http::kClosePolicy}
                                  : close_code_of(outcome.error());
    auto sent = co_await net::with_deadline(loop_, limits_.idle, "the last word", say(said, code));
    static_cast<void>(sent);  // who is gone needs none
}

Task<Result<void>> ExecRelay::say(core::Json what, uint16_t close_code) {
    CO_TRY(co_await socket_.write(Kind::kText, what.dump()));
    co_return co_await socket_.close(close_code);
}

}  // namespace smackd::services
