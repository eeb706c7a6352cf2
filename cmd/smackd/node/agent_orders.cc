#include "cmd/smackd/node/agent_orders.h"

#include <cstring>

#include "core/wire/orders.pb.h"
#include "net/crypto/random.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::NodeId;
using core::Result;
using net::Task;

AgentOrders::Stream::Stream(net::Loop& loop) : orders(loop) {
    const Bytes random = net::crypto::random_bytes(sizeof last);
    std::memcpy(&last, random.data(), sizeof last);
}

Task<Result<void>> AgentOrders::send(NodeId agent, net::rpc::ItemWriter& out) {
    auto stream = std::make_shared<Stream>(loop_);
    streams_[agent] = stream;
    auto ended = co_await stream->orders.send_to(out);
    const auto current = streams_.find(agent);
    if (current != streams_.end() && current->second == stream) streams_.erase(current);
    for (const auto& [id, wait] : std::exchange(stream->waiting, {}))
        wait->complete(core::fail(Errc::kUnavailable, "the agent's connection ended"));
    co_return ended;
}

Result<void> AgentOrders::take_answer(NodeId agent, core::BytesView answer) {
    wire::NodeAnswer told;
    if (!told.ParseFromArray(answer.data(), static_cast<int>(answer.size())))
        return core::fail(Errc::kInvalid, "order.answer: no wire.NodeAnswer");
    const auto stream = streams_.find(agent);
    if (stream == streams_.end()) return core::fail(Errc::kInvalid, "order.answer: nothing was asked");
    const auto waiting = stream->second->waiting.find(told.id());
    if (waiting == stream->second->waiting.end()) return {};  // it came too late
    if (told.code() == 0) {
        waiting->second->complete(std::move(*told.mutable_body()));
    } else {
        waiting->second->complete(
            std::unexpected(core::Error{static_cast<Errc>(told.code()), told.message(), 0}));
    }
    return {};
}

Task<Result<Bytes>> AgentOrders::ask(NodeId agent, std::string method, Bytes request) {
    const auto stream = streams_.find(agent);
    if (stream == streams_.end())
        co_return core::fail(Errc::kNotFound, "no stream of node {} ends here", agent.value);
    co_return co_await net::with_deadline(loop_, kOrderLimit, "the agent's answer",
                                          exchange(stream->second, std::move(method), std::move(request)));
}

Task<Result<Bytes>> AgentOrders::exchange(std::shared_ptr<Stream> stream, std::string method, Bytes request) {
    if (stream->waiting.size() >= kOrdersMax)
        co_return core::fail(Errc::kBusy, "{} orders wait for this agent, which is the most", kOrdersMax);
    wire::NodeOrder order;
    order.set_id(++stream->last);
    order.set_method(std::move(method));
    order.set_request(std::move(request));
    net::Wait<Bytes> wait(loop_);
    stream->waiting[order.id()] = &wait;
    stream->orders.put(order.SerializeAsString());
    auto answer = co_await wait;
    stream->waiting.erase(order.id());
    co_return answer;
}

}  // namespace smackd::cmd
