#include "cmd/smackd/node/remote_exec.h"

#include <format>

#include "cmd/smackd/node/exec_orders.h"
#include "net/scope.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;

namespace {

bool is_on_the_way(const core::Error& why) {
    return why.code == Errc::kUnavailable || why.code == Errc::kUnknownOutcome || why.code == Errc::kTimeout;
}

/// With the node's name; what the node itself says is clear enough.
core::Error lost(const std::string& machine, core::Error why) {
    if (!is_on_the_way(why)) return why;
    return {Errc::kUnavailable, std::format("node {} is not heard any more: {}", machine, why.message), 0};
}

}  // namespace

Task<Result<std::unique_ptr<agent::ExecSession>>> RemoteExec::open(net::Loop& loop, Ask ask,
                                                                   std::string machine,
                                                                   wire::OpenExec order) {
    auto answer = co_await ask(kExecOpenOrder, order.SerializeAsString());
    if (!answer) co_return std::unexpected(lost(machine, std::move(answer.error())));
    wire::ExecOpened opened;
    if (!opened.ParseFromString(*answer))
        co_return core::fail(Errc::kCorrupt, "the node's answer is no wire.ExecOpened");
    co_return std::make_unique<RemoteExec>(loop, std::move(ask), std::move(machine), opened.session());
}

Task<Result<RemoteExec::Output>> RemoteExec::read() {
    while (waiting_.empty()) CO_TRY(co_await fill());
    Output next = std::move(waiting_.front());
    waiting_.pop_front();
    co_return next;
}

Task<Result<Bytes>> RemoteExec::ask_again(std::string_view method, Bytes request) {
    const core::Instant began = loop_.now();
    for (;;) {
        auto answer = co_await ask_(method, request);
        if (answer) co_return answer;
        if (!is_on_the_way(answer.error()) || loop_.now() - began > kRemoteSilenceMax)
            co_return std::unexpected(lost(machine_, std::move(answer.error())));
        CO_TRY(co_await net::sleep(loop_, kRemoteAgain));
    }
}

Task<Result<void>> RemoteExec::fill() {
    if (pause_) CO_TRY(co_await net::sleep(loop_, kRemoteReadPause));
    wire::ReadExec order;
    order.set_session(session_);
    order.set_number(++reads_);
    CO_TRY_ASSIGN(const Bytes answer, co_await ask_again(kExecReadOrder, order.SerializeAsString()));
    wire::ExecPieces pieces;
    if (!pieces.ParseFromString(answer))
        co_return core::fail(Errc::kCorrupt, "the node's answer is no wire.ExecPieces");
    size_t bytes = 0;
    for (wire::ExecPieces::Piece& piece : *pieces.mutable_pieces()) {
        bytes += piece.bytes().size();
        waiting_.push_back(
            {.bytes = std::move(*piece.mutable_bytes()), .error_stream = piece.error_stream()});
    }
    pause_ = bytes > kRelayedAnswerBytesMax / 2;
    if (pieces.has_exit()) {
        Output last;
        last.exit = std::move(*pieces.mutable_exit());
        waiting_.push_back(std::move(last));
    }
    co_return Result<void>();
}

/// Until the program's side has room for it.
Task<Result<void>> RemoteExec::put(wire::ShimExecInput input) {
    wire::WriteExec order;
    order.set_session(session_);
    order.set_number(++writes_);
    *order.mutable_input() = std::move(input);
    const Bytes request = order.SerializeAsString();
    wire::ExecWritten written;
    while (!written.taken()) {
        CO_TRY_ASSIGN(const Bytes answer, co_await ask_again(kExecWriteOrder, request));
        if (!written.ParseFromString(answer))
            co_return core::fail(Errc::kCorrupt, "the node's answer is no wire.ExecWritten");
    }
    co_return Result<void>();
}

/// A node that is not told ends it when it is not read.
Task<void> RemoteExec::close() {
    wire::CloseExec order;
    order.set_session(session_);
    static_cast<void>(co_await net::with_deadline(loop_, kRemoteCloseMax, "closing",
                                                  ask_(kExecCloseOrder, order.SerializeAsString())));
}

}  // namespace smackd::cmd
