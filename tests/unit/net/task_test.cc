#include "net/task.h"

#include <catch2/catch_test_macros.hpp>

#include "net/scope.h"
#include "net/sync.h"

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;

Task<int> immediate(int value) {
    co_return value;
}

Task<int> sum_of(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        int one = co_await immediate(1);
        sum += one;
    }
    co_return sum;
}

Task<Result<int>> half(int value) {
    if (value % 2 != 0) co_return core::fail(Errc::kInvalid, "{} is odd", value);
    co_return value / 2;
}

Task<Result<int>> quarter(int value) {
    CO_TRY_ASSIGN(int first, co_await half(value));
    CO_TRY_ASSIGN(int second, co_await half(first));
    co_return second;
}

Task<Result<void>> check(int value) {
    CO_TRY(co_await quarter(value));
    co_return Result<void>();
}

TEST_CASE("300000 tasks that end at once use no stack") {
    Loop loop("test");
    CHECK(block_on(loop, sum_of(300'000)) == 300'000);
}

TEST_CASE("an error leaves the coroutines above it") {
    Loop loop("test");
    CHECK(block_on(loop, quarter(8)).value() == 2);
    CHECK(block_on(loop, quarter(6)).error().message == "3 is odd");
    CHECK(block_on(loop, check(8)).has_value());
    CHECK(block_on(loop, check(7)).error().code == Errc::kInvalid);
}

Task<Result<void>> wait_for(Event& event) {
    co_return co_await event.wait();
}

TEST_CASE("a deadline ends the waits below it with kTimeout, and only those") {
    Loop loop("test");
    Event event(loop);
    auto late = block_on(loop, with_deadline(loop, milliseconds(1), "the answer", wait_for(event)));
    REQUIRE(!late);
    CHECK(late.error().code == Errc::kTimeout);
    CHECK(late.error().message.starts_with("the answer took longer than"));
    event.set();
    CHECK(block_on(loop, with_deadline(loop, std::chrono::hours(1), "the answer", wait_for(event))));
}

Task<void> record_end(Event& event, std::vector<Errc>& ends) {
    auto result = co_await event.wait();
    ends.push_back(result ? Errc::kInvalid : result.error().code);
}

Task<void> open_and_close(Scope& scope, Event& event, std::vector<Errc>& ends) {
    scope.spawn(record_end(event, ends));
    scope.spawn(record_end(event, ends));
    CHECK(scope.running() == (scope.cancelled() ? 0 : 2));
    co_await scope.close();
    CHECK(scope.running() == 0);
}

TEST_CASE("closing a scope cancels and joins its tasks") {
    Loop loop("test");
    Scope scope(loop);
    Event event(loop);
    std::vector<Errc> ends;
    block_on(loop, open_and_close(scope, event, ends));
    CHECK(ends == std::vector{Errc::kCancelled, Errc::kCancelled});
    // A task spawned afterwards ends at its first wait.
    block_on(loop, open_and_close(scope, event, ends));
    CHECK(ends.size() == 4);
}

Task<Result<void>> nested(Loop& loop, Event& event) {
    auto inner = co_await with_deadline(loop, std::chrono::hours(1), "inner", wait_for(event));
    co_return inner;
}

TEST_CASE("an outer deadline reaches through an inner one") {
    Loop loop("test");
    Event event(loop);
    auto result = block_on(loop, with_deadline(loop, milliseconds(1), "outer", nested(loop, event)));
    CHECK(result.error().message.starts_with("outer"));
}

}  // namespace
}  // namespace smackd::net
