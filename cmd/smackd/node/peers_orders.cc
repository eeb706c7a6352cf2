// Orders to the nodes on which tasks run: to servers directly, to agents by way of the server at which their
// stream ends.
#include <algorithm>

#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node/peers.h"
#include "core/wire/orders.pb.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::NodeId;
using core::Result;
using net::Task;

void Peers::add_orders() {
    server_.on_call("node.order", [this](Bytes request, const net::rpc::Caller&) {
        return answer_order(std::move(request));
    });
    server_.on_call("agent.ask", [this](Bytes request, const net::rpc::Caller&) {
        return answer_ask(std::move(request));
    });
}

Task<Result<Bytes>> Peers::answer_order(Bytes request) {
    wire::NodeOrder order;
    if (!order.ParseFromString(request))
        co_return core::fail(Errc::kInvalid, "node.order: no wire.NodeOrder");
    if (!orders_) co_return core::fail(Errc::kUnavailable, "this server is starting");
    co_return co_await await_foreign<Bytes>(
        loop_, [&](auto done) { orders_(order.method(), order.request(), std::move(done)); });
}

Task<Result<Bytes>> Peers::answer_ask(Bytes request) {
    wire::AskAgent wanted;
    if (!wanted.ParseFromString(request)) co_return core::fail(Errc::kInvalid, "agent.ask: no wire.AskAgent");
    co_return co_await ask_own_agent(NodeId{wanted.node()}, wanted.method(), wanted.request());
}

Task<Result<Bytes>> Peers::ask_own_agent(NodeId agent, std::string method, Bytes request) {
    if (agents_ == nullptr) co_return core::fail(Errc::kNotFound, "no agents are served here");
    co_return co_await await_foreign<Bytes>(loop_, [&](auto done) {
        agents_->ask(agent, std::move(method), std::move(request), std::move(done));
    });
}

void Peers::order(NodeId node, std::string method, Bytes request, core::Callback<void(Result<Bytes>)> done) {
    scope_.spawn(tell_result(run_order(node, std::move(method), std::move(request)), std::move(done)));
}

/// The other servers, the one at which the agent was found last before those that may be away.
std::vector<auth::AdmittedNode> Peers::by_likelihood(NodeId agent) const {
    std::vector<auth::AdmittedNode> servers = other_servers_;
    const auto known = agent_at_.find(agent);
    if (known == agent_at_.end()) return servers;
    std::ranges::stable_partition(servers, [&](const auto& server) { return server.id == known->second; });
    return servers;
}

Task<Result<Bytes>> Peers::run_order(NodeId node, std::string method, Bytes request) {
    const std::vector<auth::AdmittedNode> servers = other_servers_;
    for (const auth::AdmittedNode& server : servers) {
        if (server.id != node) continue;
        wire::NodeOrder order;
        order.set_method(std::move(method));
        order.set_request(std::move(request));
        co_return co_await call_over_link(server.id, server.address, "node.order", order.SerializeAsString());
    }
    auto answer = co_await ask_own_agent(node, method, request);
    wire::AskAgent wanted;
    wanted.set_node(node.value);
    wanted.set_method(std::move(method));
    wanted.set_request(std::move(request));
    const Bytes asked = wanted.SerializeAsString();
    for (const auth::AdmittedNode& server : by_likelihood(node)) {
        const bool elsewhere = !answer && (answer.error().code == Errc::kNotFound);
        if (!elsewhere) co_return answer;
        auto other = co_await call_over_link(server.id, server.address, "agent.ask", asked);
        // A server that is away has no agents.
        const bool away = !other && (other.error().code == Errc::kUnavailable ||
                                     other.error().code == Errc::kUnknownOutcome);
        if (other) agent_at_[node] = server.id;
        if (!away) answer = std::move(other);
    }
    if (answer || answer.error().code != Errc::kNotFound) co_return answer;
    co_return core::fail(Errc::kUnavailable, "node {} is connected to no server now", node.value);
}

}  // namespace smackd::cmd
