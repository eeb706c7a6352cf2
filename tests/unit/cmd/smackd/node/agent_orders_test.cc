#include "cmd/smackd/node/agent_orders.h"

#include <catch2/catch_test_macros.hpp>

#include "core/wire/orders.pb.h"
#include "net/scope.h"

namespace smackd::cmd {
namespace {

using core::Bytes;
using core::Errc;
using core::NodeId;
using core::Result;
using net::Task;

/// An agent's end of its stream.
struct Agent final : net::rpc::ItemWriter {
    Task<Result<void>> send(Bytes item) override {
        wire::NodeOrder order;
        REQUIRE(order.ParseFromString(item));
        orders.push_back(std::move(order));
        co_return Result<void>();
    }
    std::vector<wire::NodeOrder> orders;
};

Bytes answer_to(const wire::NodeOrder& order, const Bytes& body) {
    wire::NodeAnswer answer;
    answer.set_id(order.id());
    answer.set_body(body);
    return answer.SerializeAsString();
}

struct World {
    net::Loop loop{"test"};
    AgentOrders orders{loop};
    net::Scope scope{loop};
    std::vector<Result<Bytes>> answers;

    Task<void> serve(NodeId agent, Agent& stream) { static_cast<void>(co_await orders.send(agent, stream)); }
    Task<void> ask(NodeId agent, Bytes request) {
        answers.push_back(co_await orders.ask(agent, "m", std::move(request)));
    }
    Task<bool> turns() {
        for (int turn = 0; turn < 5; ++turn) static_cast<void>(co_await net::sleep(loop, core::Duration(0)));
        co_return true;
    }
    void run() { net::block_on(loop, turns()); }
    void close() { net::block_on(loop, scope.close()); }
};

TEST_CASE("an order goes to its agent and comes back with what that says") {
    World world;
    Agent agent;
    world.scope.spawn(world.serve(NodeId{7}, agent));
    world.scope.spawn(world.ask(NodeId{7}, "what"));
    world.scope.spawn(world.ask(NodeId{7}, "more"));
    world.scope.spawn(world.ask(NodeId{8}, "nobody"));
    world.run();
    REQUIRE(agent.orders.size() == 2);
    CHECK(agent.orders[0].request() == "what");
    REQUIRE(world.answers.size() == 1);
    CHECK(world.answers[0].error().code == Errc::kNotFound);
    CHECK(world.orders.take_answer(NodeId{7}, answer_to(agent.orders[1], "two")));
    wire::NodeAnswer refusal;
    refusal.set_id(agent.orders[0].id());
    refusal.set_code(static_cast<uint32_t>(Errc::kDenied));
    refusal.set_message("no");
    CHECK(world.orders.take_answer(NodeId{7}, refusal.SerializeAsString()));
    world.run();
    REQUIRE(world.answers.size() == 3);
    CHECK(*world.answers[1] == "two");
    CHECK(world.answers[2].error().code == Errc::kDenied);
    world.close();
}

TEST_CASE("an answer over another stream, or of another agent, is none") {
    World world;
    Agent before;
    Agent after;
    world.scope.spawn(world.serve(NodeId{7}, before));
    world.scope.spawn(world.ask(NodeId{7}, "a"));
    world.run();
    world.scope.spawn(world.serve(NodeId{7}, after));
    world.scope.spawn(world.ask(NodeId{7}, "b"));
    world.run();
    REQUIRE(before.orders.size() == 1);
    REQUIRE(after.orders.size() == 1);
    CHECK(world.orders.take_answer(NodeId{7}, answer_to(before.orders[0], "late")));
    CHECK_FALSE(world.orders.take_answer(NodeId{8}, answer_to(after.orders[0], "foreign")));
    CHECK_FALSE(world.orders.take_answer(NodeId{7}, "\xff"));
    world.run();
    CHECK(world.answers.empty());
    CHECK(world.orders.take_answer(NodeId{7}, answer_to(after.orders[0], "right")));
    world.run();
    REQUIRE(world.answers.size() == 1);
    CHECK(*world.answers[0] == "right");
    world.close();
}

TEST_CASE("orders that wait are few") {
    World world;
    Agent agent;
    world.scope.spawn(world.serve(NodeId{7}, agent));
    for (size_t i = 0; i <= kOrdersMax; ++i) world.scope.spawn(world.ask(NodeId{7}, "x"));
    world.run();
    REQUIRE(world.answers.size() == 1);
    CHECK(world.answers[0].error().code == Errc::kBusy);
    world.close();
    CHECK(world.answers.size() == kOrdersMax + 1);
}

}  // namespace
}  // namespace smackd::cmd
