#include <format>
#include <list>
#include <unordered_map>

#include "net/rpc/channel.h"
#include "net/rpc/rpc.h"

namespace smackd::net::rpc {

using core::Errc;
using core::Result;

struct RpcServer::State {
    State(Loop& on, Hello hello, RpcLimits with, core::Logger log)
        : loop(on), self(std::move(hello)), limits(with), logger(std::move(log)) {}

    Loop& loop;
    Hello self;
    RpcLimits limits;
    core::Logger logger;
    std::map<std::string, CallHandler> calls;
    std::map<std::string, StreamHandler> streams;
    std::map<std::string, NoticeHandler> notices;
    Admission admission;
    /// A connection that is open.
    struct Open {
        explicit Open(Cancellation* outer) : cancellation(outer) {}
        Cancellation cancellation;
        core::NodeId node;
    };
    std::list<Open*> open;

    void end(core::NodeId node, const core::Error& why) {
        for (Open* entry : open) {
            if (entry->node == node) entry->cancellation.cancel(why);
        }
    }
};

namespace {

/// A call that runs.
struct Call {
    Call(Loop& loop, Cancellation* outer, uint32_t items)
        : cancellation(outer), credit(items), granted(loop) {}
    Cancellation cancellation;
    uint32_t credit;
    WaitList granted;
};

/// One connection of a server.
class ServerConnection {
 public:
    ServerConnection(RpcServer::State& server, RpcServer::State::Open& entry, std::unique_ptr<Stream> stream)
        : server_(server),
          entry_(entry),
          channel_(server.loop, std::move(stream), server.limits),
          calls_scope_(server.loop),
          writer_scope_(server.loop) {}

    Task<Result<void>> run() {
        auto ended = co_await serve();
        co_await calls_scope_.close();
        channel_.stop();
        co_await channel_.stream().close();
        co_await writer_scope_.close();
        co_return ended;
    }

 private:
    class Items;

    Task<Result<void>> serve();
    Task<Result<void>> greet();
    Task<Result<void>> dispatch(wire::RpcFrame frame);
    Task<void> write_all();
    Task<void> run_call(uint64_t id, wire::RpcRequest request);
    Task<Result<void>> answer(uint64_t id, wire::RpcRequest& request, Call& call);
    Task<Result<void>> answer_call(uint64_t id, wire::RpcRequest& request);
    Task<Result<void>> answer_stream(uint64_t id, wire::RpcRequest& request, Call& call);

    RpcServer::State& server_;
    RpcServer::State::Open& entry_;
    Channel channel_;
    Scope calls_scope_;
    Scope writer_scope_;
    Caller caller_;
    std::unordered_map<uint64_t, Call*> calls_;
    uint64_t last_call_ = 0;
};

Task<Result<void>> ServerConnection::greet() {
    CO_TRY_ASSIGN(caller_.hello, co_await channel_.exchange_hellos(server_.self));
    caller_.stream = &channel_.stream();
    entry_.node = caller_.hello.node;
    if (server_.admission) CO_TRY(server_.admission(caller_));
    co_return Result<void>();
}

Task<Result<void>> ServerConnection::serve() {
    auto greeted = co_await greet();
    if (!greeted) {
        core::Bytes refusal;
        if (append_frame(refusal, error_frame(0, greeted.error()))) {
            auto sent = co_await channel_.stream().write(refusal);
            if (sent) sent = co_await channel_.stream().shutdown();
        }
        co_return greeted;
    }
    writer_scope_.spawn(write_all());
    for (;;) {
        wire::RpcFrame frame;
        CO_TRY(co_await channel_.receive(frame));
        CO_TRY(co_await dispatch(std::move(frame)));
    }
}

Task<void> ServerConnection::write_all() {
    auto written = co_await channel_.write_queued();
    // The reader must learn that answers cannot be sent any more.
    if (!written) co_await channel_.stream().close();
}

Task<Result<void>> ServerConnection::dispatch(wire::RpcFrame frame) {
    auto found = calls_.find(frame.call());
    switch (frame.body_case()) {
        case wire::RpcFrame::kRequest:
            if (frame.call() <= last_call_)
                co_return core::fail(Errc::kCorrupt, "an RPC call number was used twice");
            last_call_ = frame.call();
            if (calls_.size() >= server_.limits.calls_in_flight) {
                core::Error busy{Errc::kBusy, "too many calls in flight on this connection", 100};
                co_return co_await channel_.send(error_frame(frame.call(), busy));
            }
            calls_scope_.spawn(run_call(frame.call(), std::move(*frame.mutable_request())));
            break;
        case wire::RpcFrame::kCancel:
            if (found == calls_.end()) break;
            found->second->cancellation.cancel(core::Error{Errc::kCancelled, "the caller gave up", 0});
            break;
        case wire::RpcFrame::kCredit:
            if (found == calls_.end()) break;
            found->second->credit += std::min(frame.credit().items(), server_.limits.stream_credit * 16);
            found->second->granted.wake_all();
            break;
        case wire::RpcFrame::kNotice: {
            auto handler = server_.notices.find(frame.notice().topic());
            if (handler != server_.notices.end()) {
                handler->second(std::move(*frame.mutable_notice()->mutable_body()), caller_);
            }
            break;
        }
        default:
            break;  // a kind of a later version: the hello agreed that it may be ignored
    }
    co_return Result<void>();
}

Task<void> ServerConnection::run_call(uint64_t id, wire::RpcRequest request) {
    Cancellation* outer = co_await current_cancellation();
    Call call(server_.loop, outer, request.credit());
    calls_.emplace(id, &call);
    Result<void> sent;
    {
        core::Duration limit = std::chrono::milliseconds(request.deadline_ms());
        if (request.deadline_ms() == 0 && !request.stream()) limit = server_.limits.default_deadline;
        std::optional<DeadlineTimer> timer;
        if (limit > core::Duration(0))
            timer.emplace(server_.loop, limit, request.method(), call.cancellation);
        Under<Result<void>> under{answer(id, request, call), &call.cancellation};
        sent = co_await under;
    }
    calls_.erase(id);
    if (!sent) {
        auto told = co_await channel_.send(error_frame(id, sent.error()));
        static_cast<void>(told);
    }
}

Task<Result<void>> ServerConnection::answer(uint64_t id, wire::RpcRequest& request, Call& call) {
    if (request.stream()) co_return co_await answer_stream(id, request, call);
    co_return co_await answer_call(id, request);
}

Task<Result<void>> ServerConnection::answer_call(uint64_t id, wire::RpcRequest& request) {
    auto handler = server_.calls.find(request.method());
    if (handler == server_.calls.end()) {
        co_return core::fail(Errc::kUnsupported, "no RPC method '{}' in smackd {}", request.method(),
                             server_.self.software);
    }
    CO_TRY_ASSIGN(core::Bytes body, co_await handler->second(std::move(*request.mutable_body()), caller_));
    wire::RpcFrame frame;
    frame.set_call(id);
    frame.mutable_response()->set_body(std::move(body));
    co_return co_await channel_.send(std::move(frame));
}

class ServerConnection::Items final : public ItemWriter {
 public:
    Items(Channel& channel, uint64_t id, Call& call) : channel_(channel), id_(id), call_(call) {}

    Task<Result<void>> send(core::Bytes item) override {
        while (call_.credit == 0) CO_TRY(co_await call_.granted.wait());
        if (call_.cancellation.cancelled()) co_return std::unexpected(call_.cancellation.why());
        --call_.credit;
        wire::RpcFrame frame;
        frame.set_call(id_);
        frame.mutable_item()->set_body(std::move(item));
        co_return co_await channel_.send(std::move(frame));
    }

 private:
    Channel& channel_;
    uint64_t id_;
    Call& call_;
};

Task<Result<void>> ServerConnection::answer_stream(uint64_t id, wire::RpcRequest& request, Call& call) {
    auto handler = server_.streams.find(request.method());
    if (handler == server_.streams.end()) {
        co_return core::fail(Errc::kUnsupported, "no RPC stream '{}' in smackd {}", request.method(),
                             server_.self.software);
    }
    Items items(channel_, id, call);
    CO_TRY(co_await handler->second(std::move(*request.mutable_body()), items, caller_));
    wire::RpcFrame frame;
    frame.set_call(id);
    frame.mutable_end();
    co_return co_await channel_.send(std::move(frame));
}

}  // namespace

RpcServer::RpcServer(Loop& loop, Hello self, RpcLimits limits, core::Logger logger)
    : state_(std::make_unique<State>(loop, std::move(self), limits, std::move(logger))) {}
RpcServer::~RpcServer() = default;

void RpcServer::on_call(std::string method, CallHandler handler) {
    SMACK_ASSERT(state_->calls.emplace(std::move(method), std::move(handler)).second);
}
void RpcServer::on_stream(std::string method, StreamHandler handler) {
    SMACK_ASSERT(state_->streams.emplace(std::move(method), std::move(handler)).second);
}
void RpcServer::on_notice(std::string topic, NoticeHandler handler) {
    SMACK_ASSERT(state_->notices.emplace(std::move(topic), std::move(handler)).second);
}
void RpcServer::on_caller(Admission admission) {
    state_->admission = std::move(admission);
}

Task<Result<void>> RpcServer::serve(std::unique_ptr<Stream> stream) {
    std::string peer = stream->peer();
    Cancellation* outer = co_await current_cancellation();
    State::Open entry(outer);
    auto place = state_->open.insert(state_->open.end(), &entry);
    ServerConnection connection(*state_, entry, std::move(stream));
    Under<Result<void>> under{connection.run(), &entry.cancellation};
    auto ended = co_await under;
    state_->open.erase(place);
    state_->logger.debug("RPC connection ended",
                         {{"peer", peer}, {"why", ended ? "" : ended.error().message}});
    co_return ended;
}

void RpcServer::hang_up(core::NodeId node) {
    state_->end(node, {Errc::kUnavailable, "this server asks for a new connection", 0});
}

void RpcServer::cut(core::NodeId node) {
    state_->end(node, {Errc::kDenied, "the node was removed", 0});
}

size_t RpcServer::connections() const {
    return state_->open.size();
}

}  // namespace smackd::net::rpc
