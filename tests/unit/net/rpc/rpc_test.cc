#include "net/rpc/rpc.h"

#include <catch2/catch_test_macros.hpp>

#include "core/wire/rpc.pb.h"
#include "net/scope.h"
#include "net/socket.h"

namespace smackd::net::rpc {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// What handlers saw.
struct Seen {
    size_t items_sent = 0;
    std::optional<Errc> ended;
    std::vector<std::string> notices;
};

Task<Result<core::Bytes>> echo(core::Bytes request) {
    co_return "echo " + request;
}

Task<Result<core::Bytes>> hang(Loop& loop, Seen& seen) {
    auto slept = co_await sleep(loop, std::chrono::hours(1));
    seen.ended = slept ? Errc::kInvalid : slept.error().code;
    co_return std::unexpected(std::move(slept.error()));
}

Task<Result<core::Bytes>> refuse() {
    co_return std::unexpected(core::Error{Errc::kBusy, "not now", 250});
}

Task<Result<void>> count_to(core::Bytes request, ItemWriter& out, Seen& seen) {
    int last = std::stoi(request);
    for (int i = 0; i < last || last == 0; ++i) {
        auto sent = co_await out.send(std::to_string(i));
        if (!sent) seen.ended = sent.error().code;
        CO_TRY(std::move(sent));
        ++seen.items_sent;
    }
    co_return Result<void>();
}

Task<Result<void>> fail_after_one(ItemWriter& out) {
    CO_TRY(co_await out.send("one"));
    co_return core::fail(Errc::kNotFound, "no second");
}

struct World {
    World() : World(RpcLimits{}) {}
    explicit World(RpcLimits limits)
        : server(loop, {kProtocolVersion, "9.9", core::NodeId{1}}, limits), scope(loop) {
        server.on_call("echo", [](core::Bytes request, const Caller&) { return echo(std::move(request)); });
        server.on_call("hang", [this](core::Bytes, const Caller&) { return hang(loop, seen); });
        server.on_call("refuse", [](core::Bytes, const Caller&) { return refuse(); });
        server.on_stream("count", [this](core::Bytes request, ItemWriter& out, const Caller&) {
            return count_to(std::move(request), out, seen);
        });
        server.on_stream("broken",
                         [](core::Bytes, ItemWriter& out, const Caller&) { return fail_after_one(out); });
        server.on_notice("note", [this](core::Bytes body, const Caller& caller) {
            seen.notices.push_back(std::to_string(caller.hello.node.value) + ":" + body);
        });
    }
    Loop loop{"test"};
    Seen seen;
    RpcServer server;
    Scope scope;
    std::optional<Result<void>> served;
};

Task<void> serve(World& world, std::unique_ptr<Stream> stream) {
    world.served = co_await world.server.serve(std::move(stream));
}

using ClientResult = Result<std::unique_ptr<RpcClient>>;

Task<ClientResult> open_client(World& world, Hello self = {kProtocolVersion, "1.0", core::NodeId{2}},
                               RpcLimits limits = {}) {
    auto ends = make_pair(world.loop);
    world.scope.spawn(serve(world, std::move(ends->first)));
    co_return co_await RpcClient::connect(world.loop, std::move(ends->second), std::move(self), limits);
}

using Story = Task<void> (*)(World&, RpcClient&);

Task<void> tell(World& world, Story story, RpcLimits limits = {}) {
    auto client = co_await open_client(world, {kProtocolVersion, "1.0", core::NodeId{2}}, limits);
    REQUIRE(client);
    co_await story(world, **client);
    co_await (*client)->close();
    co_await world.scope.join();
    CHECK(world.served.has_value());
}

Task<void> calls(World&, RpcClient& client) {
    CHECK(client.peer().software == "9.9");
    CHECK(client.peer().node.value == 1);
    for (int i = 0; i < 100; ++i) {
        auto answer = co_await client.call("echo", std::to_string(i), seconds(5));
        CHECK(answer.value() == "echo " + std::to_string(i));
    }
    auto big = co_await client.call("echo", std::string(4 << 20, 'x'), seconds(5));
    CHECK(big.value().size() == (4 << 20) + 5);
    auto busy = co_await client.call("refuse", "", seconds(5));
    CHECK(busy.error().code == Errc::kBusy);
    CHECK(busy.error().retry_after_ms == 250);
    auto unknown = co_await client.call("nothing", "", seconds(5));
    CHECK(unknown.error().code == Errc::kUnsupported);
}

TEST_CASE("calls are answered, errors cross with code and hint") {
    World world;
    block_on(world.loop, tell(world, calls));
}

Task<void> too_big(World&, RpcClient& client) {
    auto refused = co_await client.call("echo", std::string(kFrameBytesMax + 1, 'x'), seconds(5));
    CHECK(refused.error().code == Errc::kInvalid);
    CHECK(co_await client.call("echo", "still there", seconds(5)));
}

TEST_CASE("a frame beyond the limit is refused before it is sent") {
    World world;
    block_on(world.loop, tell(world, too_big));
}

Task<void> deadline(World& world, RpcClient& client) {
    auto late = co_await client.call("hang", "", milliseconds(5));
    CHECK(late.error().code == Errc::kTimeout);
    CHECK(late.error().message.find("hang") != std::string::npos);
    // The connection lives on and the server's side was told to stop.
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.ended.has_value());
}

TEST_CASE("a deadline ends a call at both ends and spares the connection") {
    World world;
    block_on(world.loop, tell(world, deadline));
}

Task<void> one_call(RpcClient& client, std::optional<Errc>& end) {
    auto answer = co_await client.call("hang", "", std::chrono::hours(1));
    end = answer ? Errc::kInvalid : answer.error().code;
}

Task<void> cancel(World& world, RpcClient& client) {
    std::optional<Errc> end;
    Scope callers(world.loop);
    callers.spawn(one_call(client, end));
    CHECK(co_await client.call("echo", "x", seconds(5)));  // the server has the other call by now
    co_await callers.close();
    CHECK(end == Errc::kCancelled);
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.ended == Errc::kCancelled);
}

TEST_CASE("giving a call up cancels its handler") {
    World world;
    block_on(world.loop, tell(world, cancel));
}

Task<void> streams(World& world, RpcClient& client) {
    auto items = co_await client.open("count", "1000");
    REQUIRE(items);
    for (int i = 0; i < 1000; ++i) {
        auto item = co_await (*items)->next();
        REQUIRE(item.value());
        CHECK(**item == std::to_string(i));
    }
    auto end = co_await (*items)->next();
    CHECK(!end.value());
    CHECK(world.seen.items_sent == 1000);
    auto broken = co_await client.open("broken", "");
    CHECK(**(co_await (*broken)->next()) == "one");
    CHECK((co_await (*broken)->next()).error().code == Errc::kNotFound);
    auto unknown = co_await client.open("nothing", "");
    CHECK((co_await (*unknown)->next()).error().code == Errc::kUnsupported);
}

TEST_CASE("a stream brings its items in order and its end or error") {
    World world;
    block_on(world.loop, tell(world, streams));
}

Task<void> credit(World& world, RpcClient& client) {
    auto items = co_await client.open("count", "0");  // without end
    REQUIRE(items);
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.items_sent == 8);  // no further than the credit
    for (int i = 0; i < 4; ++i) CHECK(co_await (*items)->next());
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.items_sent == 12);
    (*items)->cancel();
    CHECK((co_await (*items)->next()).has_value());  // what had arrived
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.ended == Errc::kCancelled);
}

TEST_CASE("a server sends no more items than the client has room for") {
    World world;
    RpcLimits limits;
    limits.stream_credit = 8;
    block_on(world.loop, tell(world, credit, limits));
}

Task<void> in_flight(World& world, RpcClient& client) {
    std::optional<Errc> ends[3];
    Scope callers(world.loop);
    for (auto& end : ends) callers.spawn(one_call(client, end));
    auto refused = co_await client.call("echo", "x", seconds(5));
    CHECK(refused.error().code == Errc::kBusy);
    co_await callers.close();
    CHECK(ends[2] == Errc::kBusy);
}

TEST_CASE("calls in flight are limited") {
    RpcLimits limits;
    limits.calls_in_flight = 2;
    World world(limits);
    block_on(world.loop, tell(world, in_flight));
}

Task<void> notices(World& world, RpcClient& client) {
    CHECK(client.notify("note", "a"));
    CHECK(co_await client.send_notice("note", "b"));
    CHECK(client.notify("unknown", "c"));
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.seen.notices == std::vector<std::string>{"2:a", "2:b"});
}

TEST_CASE("notices arrive in order with their sender") {
    World world;
    block_on(world.loop, tell(world, notices));
}

Task<void> versions(World& world, std::optional<core::Error>& error) {
    auto client = co_await open_client(world, {kProtocolVersion + 1, "2.0", core::NodeId{2}});
    if (!client) error = client.error();
    co_await world.scope.join();
}

TEST_CASE("another protocol version is refused at both ends, naming both") {
    World world;
    std::optional<core::Error> error;
    block_on(world.loop, versions(world, error));
    REQUIRE(error);
    CHECK(error->code == Errc::kUnsupported);
    CHECK(error->message.find("speaks RPC version 1, we speak 2") != std::string::npos);
    CHECK(world.served->error().code == Errc::kUnsupported);
}

Task<void> refused(World& world, std::optional<core::Error>& error) {
    auto client = co_await open_client(world);
    if (!client) {
        error = client.error();
    } else {
        error = co_await (*client)->broken_reason();
        co_await (*client)->close();
    }
    co_await world.scope.join();
}

TEST_CASE("a caller the owner refuses is told why") {
    World world;
    world.server.on_caller([](const Caller& caller) -> Result<void> {
        return core::fail(Errc::kDenied, "node {} is not of this cluster", caller.hello.node.value);
    });
    std::optional<core::Error> error;
    block_on(world.loop, refused(world, error));
    CHECK(error->code == Errc::kDenied);
    CHECK(error->message == "node 2 is not of this cluster");
}

Task<void> raw(World& world, std::string bytes) {
    auto ends = make_pair(world.loop);
    world.scope.spawn(serve(world, std::move(ends->first)));
    CHECK(co_await ends->second->write(bytes));
    co_await world.scope.join();
    co_await ends->second->close();
}

TEST_CASE("bytes that are no frames end the connection") {
    World world;
    SECTION("a length beyond the limit") {
        block_on(world.loop, raw(world, std::string("\xff\xff\xff\x7f", 4)));
    }
    SECTION("no message") {
        block_on(world.loop, raw(world, std::string("\x02\0\0\0\xff\xff", 6)));
    }
    SECTION("not a hello") {
        wire::RpcFrame frame;
        frame.set_call(1);
        frame.mutable_cancel();
        core::Bytes bytes;
        REQUIRE(append_frame(bytes, frame));
        block_on(world.loop, raw(world, bytes));
    }
    CHECK(world.served->error().code == Errc::kCorrupt);
}

Task<void> server_dies(World& world) {
    auto ends = make_pair(world.loop);
    auto server = std::make_unique<Scope>(world.loop);
    server->spawn(serve(world, std::move(ends->first)));
    auto client = co_await RpcClient::connect(world.loop, std::move(ends->second),
                                              {kProtocolVersion, "1.0", core::NodeId{2}});
    REQUIRE(client);
    std::optional<Errc> end;
    Scope callers(world.loop);
    callers.spawn(one_call(**client, end));
    auto items = co_await (*client)->open("count", "0");
    co_await server->close();
    co_await callers.join();
    CHECK(end == Errc::kUnavailable);
    for (;;) {
        auto item = co_await (*items)->next();
        if (item) continue;
        CHECK(item.error().code == Errc::kUnavailable);
        break;
    }
    CHECK((*client)->broken());
    auto after = co_await (*client)->call("echo", "x", seconds(5));
    CHECK(after.error().code == Errc::kUnavailable);
    co_await (*client)->close();
}

Task<void> cut(World& world, RpcClient& client) {
    world.server.cut(core::NodeId{3});
    CHECK(co_await client.call("echo", "x", seconds(5)));
    CHECK(world.server.connections() == 1);
    std::optional<Errc> end;
    Scope callers(world.loop);
    callers.spawn(one_call(client, end));
    CHECK(co_await client.call("echo", "x", seconds(5)));
    world.server.cut(core::NodeId{2});
    co_await callers.join();
    CHECK(end.has_value());
    auto why = co_await client.broken_reason();
    CHECK(why.code == Errc::kUnavailable);
    CHECK(world.server.connections() == 0);
}

TEST_CASE("the connections of a removed node are cut") {
    World world;
    block_on(world.loop, tell(world, cut));
}

TEST_CASE("a connection that breaks ends its calls and streams") {
    World world;
    block_on(world.loop, server_dies(world));
}

TEST_CASE("frames come out as they went in, however they are cut") {
    core::Bytes bytes;
    for (int i = 1; i <= 3; ++i) {
        wire::RpcFrame frame;
        frame.set_call(static_cast<uint64_t>(i));
        frame.mutable_response()->set_body(std::string(static_cast<size_t>(i) * 100, 'x'));
        REQUIRE(append_frame(bytes, frame));
    }
    for (size_t step : {size_t{1}, size_t{5}, size_t{150}, bytes.size()}) {
        FrameDecoder decoder;
        std::vector<uint64_t> calls;
        for (size_t at = 0; at < bytes.size(); at += step) {
            decoder.feed(core::BytesView(bytes).substr(at, step));
            wire::RpcFrame frame;
            while (decoder.next(frame).value()) calls.push_back(frame.call());
        }
        CHECK(calls == std::vector<uint64_t>{1, 2, 3});
    }
}

}  // namespace
}  // namespace smackd::net::rpc
