#include "cmd/smackd/node/exec_orders.h"

#include <utility>

#include "net/crypto/random.h"

namespace smackd::cmd {

using agent::ExecSession;
using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;

namespace {

constexpr size_t kSessionIdBytes = 16;
constexpr core::Duration kExpireLook = core::seconds(1);

template <class Message>
Result<Message> parse(const Bytes& request) {
    Message message;
    if (!message.ParseFromString(request)) return core::fail(Errc::kInvalid, "an order of exec: no message");
    return message;
}

/// Of the program or its task, not of the way here: asking again would not help.
std::unexpected<core::Error> of_program(core::Error why) {
    const bool misleading = why.code == Errc::kNotFound || why.code == Errc::kUnavailable;
    if (misleading) why.code = Errc::kConflict;
    return std::unexpected(std::move(why));
}

Result<void> nothing_yet(Result<void> waited) {
    if (waited || waited.error().code == Errc::kTimeout) return {};
    return waited;
}

}  // namespace

struct ExecOrders::Session {
    Session(net::Loop& loop, std::unique_ptr<ExecSession> started)
        : program(std::move(started)), news(loop), room(loop), written(loop), read_at(loop.now()) {
        written.set();
    }
    std::unique_ptr<ExecSession> program;
    std::deque<ExecSession::Output> waiting;
    size_t waiting_bytes = 0;
    std::optional<core::Error> failed;  // after what waits
    net::Event news;                    // something waits, or it has failed
    net::Event room;                    // less than kRelayedWaitingBytesMax waits
    net::Event written;                 // nothing is being written
    core::Instant read_at;
    uint64_t reads = 0;  // number of the last order that was answered, and its answer
    Bytes last_answer;
    uint64_t writes = 0;  // number of the last order whose input was taken
    bool dropped = false;
};

ExecOrders::ExecOrders(net::Loop& loop, core::Logger logger, Start start)
    : loop_(loop), logger_(std::move(logger)), start_(std::move(start)), scope_(loop) {}

Task<Result<Bytes>> ExecOrders::answer(std::string method, Bytes request) {
    if (method == kExecOpenOrder) {
        CO_TRY_ASSIGN(wire::OpenExec order, parse<wire::OpenExec>(request));
        co_return co_await open(std::move(order));
    }
    if (method == kExecReadOrder) {
        CO_TRY_ASSIGN(wire::ReadExec order, parse<wire::ReadExec>(request));
        co_return co_await read(std::move(order));
    }
    if (method == kExecWriteOrder) {
        CO_TRY_ASSIGN(wire::WriteExec order, parse<wire::WriteExec>(request));
        co_return co_await write(std::move(order));
    }
    if (method == kExecCloseOrder) {
        CO_TRY_ASSIGN(const wire::CloseExec order, parse<wire::CloseExec>(request));
        co_return close_one(order);
    }
    co_return core::fail(Errc::kUnsupported, "this node's version knows no order '{}'", method.substr(0, 64));
}

Task<Result<Bytes>> ExecOrders::open(wire::OpenExec order) {
    if (sessions_.size() + opening_ >= kRelayedProgramsMax)
        co_return core::fail(Errc::kBusy,
                             "{} programs are run on this node by way of other servers, which is the most",
                             kRelayedProgramsMax);
    // The audit, and the other server's log, say who.
    logger_.info("exec for another server", {{"task", order.task()}});
    ++opening_;
    auto started = co_await start_(order.task(), std::move(*order.mutable_exec()));
    --opening_;
    if (!started) co_return of_program(std::move(started.error()));
    wire::ExecOpened opened;
    opened.set_session(net::crypto::random_bytes(kSessionIdBytes));
    auto session = std::make_shared<Session>(loop_, std::move(*started));
    sessions_[opened.session()] = session;
    scope_.spawn(collect(session));
    if (!std::exchange(expiring_, true)) scope_.spawn(expire());
    co_return opened.SerializeAsString();
}

/// Takes what the program writes, up to kRelayedWaitingBytesMax.
Task<void> ExecOrders::collect(SessionPtr session) {
    while (!session->dropped) {
        auto output = co_await session->program->read();
        session->news.set();
        if (!output) {
            session->failed = std::move(output.error());
            co_return;
        }
        session->waiting_bytes += output->bytes.size();
        session->waiting.push_back(std::move(*output));
        if (session->waiting.back().exit) co_return;
        session->room.reset();
        if (session->waiting_bytes < kRelayedWaitingBytesMax) continue;
        auto room = co_await session->room.wait();
        if (!room) co_return;
    }
}

Task<Result<Bytes>> ExecOrders::read(wire::ReadExec order) {
    CO_TRY_ASSIGN(const SessionPtr session, find(order.session()));
    session->read_at = loop_.now();
    if (order.number() > session->reads && session->waiting.empty() && !session->failed) {
        session->news.reset();
        auto waited = co_await net::with_deadline(loop_, kRelayWait, "output", session->news.wait());
        CO_TRY(nothing_yet(std::move(waited)));
    }
    session->read_at = loop_.now();
    // Asked again since an answer was lost on its way; perhaps while the first order still waited.
    if (order.number() <= session->reads) co_return session->last_answer;
    if (session->waiting.empty() && session->failed) co_return of_program(*session->failed);
    session->last_answer = take_pieces(*session);
    session->reads = order.number();
    co_return session->last_answer;
}

Bytes ExecOrders::take_pieces(Session& session) {
    wire::ExecPieces pieces;
    size_t bytes = 0;
    while (!session.waiting.empty()) {
        ExecSession::Output& next = session.waiting.front();
        if (bytes > 0 && bytes + next.bytes.size() > kRelayedAnswerBytesMax) break;
        bytes += next.bytes.size();
        if (next.exit) *pieces.mutable_exit() = std::move(*next.exit);
        if (!next.bytes.empty()) {
            wire::ExecPieces::Piece& piece = *pieces.add_pieces();
            piece.set_bytes(std::move(next.bytes));
            piece.set_error_stream(next.error_stream);
        }
        session.waiting.pop_front();
    }
    session.waiting_bytes -= bytes;
    if (session.waiting_bytes < kRelayedWaitingBytesMax) session.room.set();
    return pieces.SerializeAsString();
}

Task<Result<Bytes>> ExecOrders::write(wire::WriteExec order) {
    CO_TRY_ASSIGN(const SessionPtr session, find(order.session()));
    wire::ExecWritten written;
    written.set_taken(order.number() <= session->writes);
    if (written.taken()) co_return written.SerializeAsString();
    if (!session->written.is_set()) {
        auto waited = co_await net::with_deadline(loop_, kRelayWait, "the program", session->written.wait());
        CO_TRY(nothing_yet(std::move(waited)));
    }
    written.set_taken(order.number() <= session->writes);
    if (!written.taken() && session->written.is_set()) {
        session->writes = order.number();
        session->written.reset();
        scope_.spawn(put(session, std::move(*order.mutable_input())));
        written.set_taken(true);
    }
    co_return written.SerializeAsString();
}

Task<void> ExecOrders::put(SessionPtr session, wire::ShimExecInput input) {
    Result<void> done;
    if (input.rows() > 0) done = co_await session->program->resize(input.rows(), input.columns());
    if (done && !input.bytes().empty())
        done = co_await session->program->write(std::move(*input.mutable_bytes()));
    if (done && input.end()) done = co_await session->program->end_input();
    static_cast<void>(done);  // its output says how it ended
    session->written.set();
}

Result<Bytes> ExecOrders::close_one(const wire::CloseExec& order) {
    drop(order.session());
    return Bytes();
}

Result<ExecOrders::SessionPtr> ExecOrders::find(const std::string& id) const {
    const auto found = sessions_.find(id);
    if (found != sessions_.end()) return found->second;
    return core::fail(Errc::kConflict, "the node has ended the program: it was not read, or the node stops");
}

void ExecOrders::drop(const std::string& id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    scope_.spawn([](SessionPtr session) -> Task<void> {
        session->dropped = true;
        session->room.set();
        co_await session->program->close();
    }(std::move(found->second)));
    sessions_.erase(found);
}

/// As long as there are sessions.
Task<void> ExecOrders::expire() {
    while (!sessions_.empty()) {
        auto slept = co_await net::sleep(loop_, kExpireLook);
        if (!slept) break;
        std::vector<std::string> unread;
        for (const auto& [id, session] : sessions_) {
            if (loop_.now() - session->read_at > kUnreadMax) unread.push_back(id);
        }
        for (const std::string& id : unread) {
            logger_.info("a program is ended: its server does not read it any more", {});
            drop(id);
        }
    }
    expiring_ = false;
}

Task<void> ExecOrders::close() {
    for (auto& [id, session] : std::exchange(sessions_, {})) {
        session->dropped = true;
        co_await session->program->close();
    }
    co_await scope_.close();
}

}  // namespace smackd::cmd
