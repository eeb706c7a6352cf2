#include "net/move_stream.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <future>
#include <thread>

#include "net/scope.h"
#include "net/socket.h"
#include "net/tls/tls.h"
#include "tests/unit/net/authority.h"

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;
using std::chrono::seconds;

constexpr size_t kBytes = 300'000;

/// A second loop with a thread.
struct Elsewhere {
    Elsewhere() : thread([this] { loop.run(); }) {}
    ~Elsewhere() {
        loop.stop();
        thread.join();
    }
    Loop loop{"elsewhere"};
    std::thread thread;
};

struct World {
    Loop loop{"door"};
    WorkerPool workers{"tls", 2, 64};
    TlsEngine engine{loop, workers};
    test::Authority authority;
    test::Identity server = authority.issue({{"localhost"}, {}, {}});
    std::unique_ptr<Stream> moved;
    std::promise<std::string> ended;
};

Task<Result<void>> echo(Loop& loop, Stream& stream) {
    CO_TRY(attach_to_loop(stream, loop));
    core::Bytes bytes(kBytes, '\0');
    for (int i = 0; i < 2; ++i) {
        CO_TRY(co_await read_exactly(stream, bytes.data(), bytes.size()));
        CO_TRY(co_await stream.write(bytes));
    }
    co_return Result<void>();
}

Task<void> serve(World& world, Loop& loop) {
    auto served = co_await echo(loop, *world.moved);
    co_await world.moved->close();
    world.moved.reset();
    world.ended.set_value(served ? "" : served.error().message);
}

Task<void> accept(World& world, Listener& listener, bool tls, std::unique_ptr<Stream>& into) {
    auto raw = co_await listener.accept();
    REQUIRE(raw);
    into = std::move(*raw);
    if (!tls) co_return;
    auto config = TlsConfig::server(world.authority.server_options(world.server, ClientCertificates::kNone));
    auto stream = co_await world.engine.accept(std::move(into), *config);
    REQUIRE(stream);
    into = std::move(*stream);
}

// The client speaks before the server's end has moved: nothing of it may be lost.
Task<void> story(World& world, Elsewhere& there, Scope& work, bool tls) {
    auto listener = Listener::tcp(world.loop, *Address::parse("127.0.0.1:0"));
    REQUIRE(listener);
    std::unique_ptr<Stream> server;
    Scope accepting(world.loop);
    accepting.spawn(accept(world, **listener, tls, server));
    auto client = co_await connect_tcp(world.loop, *Address::parse((*listener)->address()), seconds(5));
    REQUIRE(client);
    if (tls) {
        TlsClientOptions options;
        options.ca_pem = world.authority.pem();
        client = co_await world.engine.connect(std::move(*client), *TlsConfig::client(std::move(options)),
                                               "localhost");
        REQUIRE(client);
    }
    co_await accepting.join();
    const core::Bytes sent(kBytes, 'a');
    core::Bytes back(kBytes, '\0');
    Scope writing(world.loop);
    writing.spawn([](Stream& to, const core::Bytes& bytes) -> Task<void> { CHECK(co_await to.write(bytes)); }(
                                                               **client, sent));
    REQUIRE(detach_from_loop(*server));
    world.moved = std::move(server);
    there.loop.post([&] { work.spawn(serve(world, there.loop)); });
    CHECK(co_await read_exactly(**client, back.data(), back.size()));
    CHECK(back == sent);
    co_await writing.join();
    CHECK(co_await (*client)->write(sent));
    CHECK(co_await read_exactly(**client, back.data(), back.size()));
    co_await (*client)->close();
    co_await (*listener)->close();
}

TEST_CASE("a connection goes on on another loop") {
    World world;
    const bool tls = GENERATE_COPY(false, true);
    Elsewhere there;
    Scope work(there.loop);
    block_on(world.loop, story(world, there, work, tls));
    CHECK(world.ended.get_future().get().empty());
    // The task's frame is gone after one more turn of its loop.
    std::promise<void> turn;
    there.loop.post([&] { turn.set_value(); });
    turn.get_future().get();
}

TEST_CASE("what is no TCP connection stays on its loop") {
    Loop loop{"test"};
    auto pair = make_pair(loop);
    REQUIRE(pair);
    auto refused = detach_from_loop(*pair->first);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kUnsupported);
    block_on(loop, [](Stream& one, Stream& other) -> Task<void> {
        co_await one.close();
        co_await other.close();
    }(*pair->first, *pair->second));
}

}  // namespace
}  // namespace smackd::net
