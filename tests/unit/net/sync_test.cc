#include "net/sync.h"

#include <catch2/catch_test_macros.hpp>

#include "net/scope.h"

namespace smackd::net {
namespace {

using core::Result;

Task<void> produce(Queue<int>& queue, int count) {
    for (int i = 0; i < count; ++i) {
        auto pushed = co_await queue.push(i);
        if (!pushed) co_return;
    }
    queue.close();
}

Task<Result<std::vector<int>>> consume(Scope& scope, Queue<int>& queue, int count) {
    scope.spawn(produce(queue, count));
    std::vector<int> seen;
    for (;;) {
        auto item = co_await queue.pop();
        if (!item) break;
        seen.push_back(*item);
    }
    co_await scope.join();
    co_return seen;
}

TEST_CASE("a queue keeps the order and its bound") {
    Loop loop("test");
    Scope scope(loop);
    Queue<int> queue(loop, 3);
    auto seen = block_on(loop, consume(scope, queue, 1000));
    REQUIRE(seen->size() == 1000);
    CHECK(seen->front() == 0);
    CHECK(seen->back() == 999);
    CHECK(!queue.try_push(1));
}

TEST_CASE("try_push refuses when full") {
    Loop loop("test");
    Queue<int> queue(loop, 2);
    CHECK(queue.try_push(1));
    CHECK(queue.try_push(2));
    CHECK(!queue.try_push(3));
    CHECK(queue.try_pop() == 1);
    CHECK(queue.try_push(3));
}

struct Gauge {
    int now = 0;
    int most = 0;
};

Task<void> hold(Loop& loop, Semaphore& semaphore, Gauge& gauge) {
    auto acquired = co_await semaphore.acquire();
    if (!acquired) co_return;
    Semaphore::Permit permit(semaphore);
    gauge.most = std::max(gauge.most, ++gauge.now);
    auto slept = co_await sleep(loop, core::Duration(0));
    static_cast<void>(slept);
    --gauge.now;
}

Task<void> crowd(Loop& loop, Scope& scope, Semaphore& semaphore, Gauge& gauge) {
    for (int i = 0; i < 20; ++i) scope.spawn(hold(loop, semaphore, gauge));
    co_await scope.join();
}

TEST_CASE("a semaphore lets at most its count in") {
    Loop loop("test");
    Scope scope(loop);
    Semaphore semaphore(loop, 3);
    Gauge gauge;
    block_on(loop, crowd(loop, scope, semaphore, gauge));
    CHECK(gauge.most == 3);
    CHECK(gauge.now == 0);
    CHECK(semaphore.try_acquire());
}

Task<void> cancelled_waiter(Scope& scope, Semaphore& semaphore, Loop& loop, Gauge& gauge) {
    CHECK(semaphore.try_acquire());
    scope.spawn(hold(loop, semaphore, gauge));
    co_await scope.close();  // the waiter gives up
    semaphore.release();
    CHECK(semaphore.try_acquire());
    semaphore.release();
}

TEST_CASE("a permit is not lost to a waiter that gave up") {
    Loop loop("test");
    Scope scope(loop);
    Semaphore semaphore(loop, 1);
    Gauge gauge;
    block_on(loop, cancelled_waiter(scope, semaphore, loop, gauge));
    CHECK(gauge.most == 0);
}

}  // namespace
}  // namespace smackd::net
