#include "services/edge/backends.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::edge {
namespace {

core::ingress::PoolPtr pool_of(std::initializer_list<const char*> addresses) {
    auto pool = std::make_shared<core::ingress::Pool>();
    pool->app = "/web";
    pool->key = "/web#0";
    for (const char* address : addresses) pool->backends.push_back({address, address, 0});
    return pool;
}

core::ingress::Routes routes_of(core::ingress::PoolPtr pool) {
    core::ingress::Routes routes;
    routes.pools.push_back(std::move(pool));
    return routes;
}

struct World {
    net::Loop loop{"test"};
    net::SharedBuffer buffer;
    Backends backends{loop, buffer};
    int released = 0;

    void await(const char* address) {
        backends.await_release({address}, [this] { ++released; });
    }
};

TEST_CASE("a backend is released when no table names it and nothing is under way to it") {
    World world;
    const auto both = pool_of({"127.0.0.1:1", "127.0.0.1:2"});
    world.backends.set_routes(routes_of(both));
    BackendState* first = world.backends.choose(*both, {}, 0);
    REQUIRE(first != nullptr);
    REQUIRE(first->address == "127.0.0.1:1");
    world.backends.begin(*first);
    world.backends.begin(*first);
    world.await("127.0.0.1:1");
    CHECK(world.released == 0);  // it still gets requests
    world.backends.set_routes(routes_of(pool_of({"127.0.0.1:2"})));
    world.backends.end(*first);
    CHECK(world.released == 0);  // one is under way
    world.backends.end(*first);
    CHECK(world.released == 1);
    world.await("127.0.0.1:1");
    world.await("127.0.0.1:99");
    CHECK(world.released == 3);  // nobody knows them
}

TEST_CASE("a backend that nothing is under way to is released with the table") {
    World world;
    world.backends.set_routes(routes_of(pool_of({"127.0.0.1:1"})));
    world.await("127.0.0.1:1");
    CHECK(world.released == 0);
    world.backends.set_routes({});
    CHECK(world.released == 1);
}

TEST_CASE("who works with an older table is not sent to what has left since") {
    World world;
    const auto old = pool_of({"127.0.0.1:1", "127.0.0.1:2"});
    world.backends.set_routes(routes_of(old));
    world.backends.set_routes(routes_of(pool_of({"127.0.0.1:2"})));
    for (int i = 0; i < 4; ++i) CHECK(world.backends.choose(*old, {}, 0)->address == "127.0.0.1:2");
    world.backends.set_routes({});
    CHECK(world.backends.choose(*old, {}, 0) == nullptr);
}

TEST_CASE("backends of a host that does not answer come last, and one request tries it again") {
    World world;
    const auto pool = pool_of({"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"});
    world.backends.set_routes(routes_of(pool));
    const auto chosen = [&] { return world.backends.choose(*pool, {}, 0)->address; };
    std::vector<BackendState*> tried = {world.backends.choose(*pool, {}, 0)};
    REQUIRE(tried[0]->address == "10.0.0.1:1");
    world.backends.unanswered(*tried[0]);
    for (int i = 0; i < 6; ++i) CHECK(chosen() == "10.0.0.2:1");
    // Where nothing else is left it is asked all the same.
    const auto alone = pool_of({"10.0.0.1:2"});
    CHECK(world.backends.choose(*alone, {}, 0)->address == "10.0.0.1:2");
    tried[0]->host->down_until = world.loop.now();
    tried[0]->down_until = world.loop.now();
    int asked = 0;
    for (int i = 0; i < 6; ++i) asked += chosen() != "10.0.0.2:1";
    CHECK(asked == 1);
    world.backends.connected(*tried[0]);
    asked = 0;
    for (int i = 0; i < 6; ++i) asked += chosen() != "10.0.0.2:1";
    CHECK(asked == 4);
}

}  // namespace
}  // namespace smackd::edge
