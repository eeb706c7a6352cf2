#include <deque>
#include <format>

#include "net/rpc/channel.h"
#include "net/rpc/rpc.h"

namespace smackd::net::rpc {

using core::Errc;
using core::Result;

namespace {

/// Who waits for the frames of one call.
class Receiver {
 public:
    virtual ~Receiver() = default;
    /// Returns false when the call is over.
    virtual bool on_frame(wire::RpcFrame& frame) = 0;
    virtual void on_broken(const core::Error& why) = 0;
};

}  // namespace

struct RpcClient::State {
    State(Loop& on, std::unique_ptr<Stream> stream, RpcLimits limits)
        : loop(on), channel(on, std::move(stream), limits), scope(on), ended(on) {}

    Task<void> read_all();
    Task<void> write_all();
    void break_off(core::Error why);
    void send_cancel(uint64_t call);

    Loop& loop;
    Channel channel;
    Hello peer;
    Scope scope;
    Event ended;
    std::optional<core::Error> broken;
    std::map<uint64_t, Receiver*> receivers;
    uint64_t last_call = 0;
};

RpcClient::RpcClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
RpcClient::~RpcClient() = default;

Task<Result<std::unique_ptr<RpcClient>>> RpcClient::connect(Loop& loop, std::unique_ptr<Stream> stream,
                                                            Hello self, RpcLimits limits) {
    auto state = std::make_unique<State>(loop, std::move(stream), limits);
    auto hello = co_await state->channel.exchange_hellos(self);
    if (!hello) {
        co_await state->channel.stream().close();
        co_return std::unexpected(std::move(hello.error()));
    }
    state->peer = std::move(*hello);
    state->scope.spawn(state->read_all());
    state->scope.spawn(state->write_all());
    co_return std::make_unique<RpcClient>(std::move(state));
}

Task<void> RpcClient::State::read_all() {
    for (;;) {
        wire::RpcFrame frame;
        auto received = co_await channel.receive(frame);
        if (!received) co_return break_off(std::move(received.error()));
        if (frame.call() == 0 && frame.has_error()) co_return break_off(error_of(frame.error()));
        auto found = receivers.find(frame.call());
        if (found == receivers.end()) continue;  // an answer that crossed our cancel
        if (!found->second->on_frame(frame)) receivers.erase(frame.call());
    }
}

Task<void> RpcClient::State::write_all() {
    auto written = co_await channel.write_queued();
    if (!written) break_off(std::move(written.error()));
}

void RpcClient::State::break_off(core::Error why) {
    if (broken) return;
    if (why.code == Errc::kCancelled) why = {Errc::kUnavailable, "the RPC connection was closed", 0};
    broken = std::move(why);
    channel.stop();
    for (auto& [call, receiver] : std::exchange(receivers, {})) receiver->on_broken(*broken);
    ended.set();
}

void RpcClient::State::send_cancel(uint64_t call) {
    wire::RpcFrame frame;
    frame.set_call(call);
    frame.mutable_cancel();
    channel.try_send(frame);  // with a full queue the answer comes and is dropped
}

namespace {

/// A plain call waiting for its answer.
class Pending final : public Receiver {
 public:
    explicit Pending(Loop& loop) : wait(loop) {}
    bool on_frame(wire::RpcFrame& frame) override {
        if (frame.has_response()) {
            wait.complete(std::move(*frame.mutable_response()->mutable_body()));
        } else if (frame.has_error()) {
            wait.complete(std::unexpected(error_of(frame.error())));
        } else {
            wait.complete(core::fail(Errc::kCorrupt, "an RPC answer is neither a response nor an error"));
        }
        return false;
    }
    void on_broken(const core::Error& why) override { wait.complete(std::unexpected(why)); }

    Wait<core::Bytes> wait;
};

uint32_t to_deadline_ms(core::Duration limit) {
    int64_t ms = std::chrono::ceil<core::milliseconds>(limit).count();
    return static_cast<uint32_t>(std::clamp<int64_t>(ms, 1, UINT32_MAX));
}

Task<Result<core::Bytes>> exchange(RpcClient::State& state, uint64_t call, wire::RpcFrame frame) {
    Pending pending(state.loop);
    state.receivers.emplace(call, &pending);
    auto sent = co_await state.channel.send(std::move(frame));
    if (!sent) {
        state.receivers.erase(call);
        co_return std::unexpected(state.broken ? *state.broken : std::move(sent.error()));
    }
    auto answer = co_await pending.wait;
    if (state.receivers.erase(call) > 0) state.send_cancel(call);  // cancelled or late: no answer came
    co_return answer;
}

}  // namespace

Task<Result<core::Bytes>> RpcClient::call(std::string method, core::Bytes request, core::Duration limit) {
    State& state = *state_;
    if (state.broken) co_return std::unexpected(*state.broken);
    uint64_t call = ++state.last_call;
    wire::RpcFrame frame;
    frame.set_call(call);
    frame.mutable_request()->set_method(method);
    frame.mutable_request()->set_body(std::move(request));
    frame.mutable_request()->set_deadline_ms(to_deadline_ms(limit));
    std::string what = std::format("RPC {} to {}", method, state.channel.stream().peer());
    co_return co_await with_deadline(state.loop, limit, std::move(what),
                                     exchange(state, call, std::move(frame)));
}

namespace {

/// The reading end of a stream. It may outlive neither the client nor its close(), which break_off sees to.
class Items final : public ItemReader, public Receiver {
 public:
    Items(RpcClient::State& state, uint64_t call) : state_(&state), call_(call), arrived_(state.loop) {}
    ~Items() override { cancel(); }
    Items(const Items&) = delete;
    Items& operator=(const Items&) = delete;

    Task<Result<std::optional<core::Bytes>>> next() override {
        while (items_.empty() && !end_) CO_TRY(co_await arrived_.wait());
        if (items_.empty()) {
            if (!*end_) co_return std::unexpected(end_->error());
            co_return std::optional<core::Bytes>();
        }
        std::optional<core::Bytes> item = std::move(items_.front());
        items_.pop_front();
        grant();
        co_return item;
    }

    void cancel() override {
        if (end_) return;
        state_->receivers.erase(call_);
        state_->send_cancel(call_);
        finish(core::fail(Errc::kCancelled, "the stream was given up"));
    }

    bool on_frame(wire::RpcFrame& frame) override {
        if (frame.has_item()) {
            if (items_.size() < state_->channel.limits().stream_credit) {
                items_.push_back(std::move(*frame.mutable_item()->mutable_body()));
                arrived_.wake_all();
                return true;
            }
            finish(core::fail(Errc::kCorrupt, "the server sent more items than were asked for"));
        } else if (frame.has_end()) {
            finish({});
        } else if (frame.has_error()) {
            finish(std::unexpected(error_of(frame.error())));
        } else {
            finish(core::fail(Errc::kCorrupt, "an RPC stream brought a frame of another kind"));
        }
        return false;
    }
    void on_broken(const core::Error& why) override { finish(std::unexpected(why)); }

 private:
    void finish(Result<void> how) {
        end_ = std::move(how);
        arrived_.wake_all();
    }
    /// Half of the credit at a time: one frame for many items.
    void grant() {
        uint32_t batch = std::max<uint32_t>(state_->channel.limits().stream_credit / 2, 1);
        if (end_ || ++taken_ < batch) return;
        wire::RpcFrame frame;
        frame.set_call(call_);
        frame.mutable_credit()->set_items(taken_);
        if (state_->channel.try_send(frame)) taken_ = 0;
    }

    RpcClient::State* state_;
    uint64_t call_;
    uint32_t taken_ = 0;
    std::deque<core::Bytes> items_;
    std::optional<Result<void>> end_;
    WaitList arrived_;
};

}  // namespace

Task<Result<std::unique_ptr<ItemReader>>> RpcClient::open(std::string method, core::Bytes request) {
    State& state = *state_;
    if (state.broken) co_return std::unexpected(*state.broken);
    uint64_t call = ++state.last_call;
    wire::RpcFrame frame;
    frame.set_call(call);
    frame.mutable_request()->set_method(std::move(method));
    frame.mutable_request()->set_body(std::move(request));
    frame.mutable_request()->set_stream(true);
    frame.mutable_request()->set_credit(state.channel.limits().stream_credit);
    auto items = std::make_unique<Items>(state, call);
    state.receivers.emplace(call, items.get());
    CO_TRY(co_await state.channel.send(std::move(frame)));
    co_return std::move(items);
}

namespace {

wire::RpcFrame notice_frame(std::string topic, core::Bytes body) {
    wire::RpcFrame frame;
    frame.mutable_notice()->set_topic(std::move(topic));
    frame.mutable_notice()->set_body(std::move(body));
    return frame;
}

}  // namespace

Task<Result<void>> RpcClient::send_notice(std::string topic, core::Bytes body) {
    co_return co_await state_->channel.send(notice_frame(std::move(topic), std::move(body)));
}

bool RpcClient::notify(std::string topic, core::Bytes body) {
    return state_->channel.try_send(notice_frame(std::move(topic), std::move(body)));
}

const Hello& RpcClient::peer() const {
    return state_->peer;
}
bool RpcClient::broken() const {
    return state_->broken.has_value();
}

Task<core::Error> RpcClient::broken_reason() {
    auto ended = co_await state_->ended.wait();
    co_return state_->broken ? *state_->broken : std::move(ended.error());
}

Task<void> RpcClient::close() {
    state_->break_off({Errc::kUnavailable, "the RPC connection was closed here", 0});
    co_await state_->channel.stream().close();
    co_await state_->scope.close();
}

}  // namespace smackd::net::rpc
