#include "net/loop.h"

#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <vector>

#include "net/scope.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "net/thread_executor.h"
#include "net/worker_pool.h"

namespace smackd::net {
namespace {

using core::Errc;
using core::Result;
using std::chrono::milliseconds;

TEST_CASE("posts from other threads run in order on the loop") {
    Loop loop("test");
    std::vector<int> seen;
    std::thread poster([&] {
        for (int i = 0; i < 1000; ++i) loop.post([&, i] { seen.push_back(i); });
        loop.post([&] {
            CHECK(loop.on_thread());
            loop.stop();
        });
    });
    loop.run();
    poster.join();
    REQUIRE(seen.size() == 1000);
    CHECK(seen[999] == 999);
}

TEST_CASE("timers run in order of their time and a cancelled one does not") {
    Loop loop("test");
    std::vector<int> seen;
    core::TimerId cancelled = 0;
    loop.start(milliseconds(3), [&] {
        seen.push_back(3);
        loop.start(core::Duration(0), [&] {
            seen.push_back(4);
            loop.stop();
        });
    });
    loop.start(milliseconds(1), [&] {
        seen.push_back(1);
        loop.cancel(cancelled);
    });
    cancelled = loop.start(milliseconds(2), [&] { seen.push_back(99); });
    CHECK(seen.empty());
    loop.run();
    CHECK(seen == std::vector{1, 3, 4});
}

class Lines final : public core::LogSink {
 public:
    void write(core::LogLevel, std::string_view, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

TEST_CASE("a turn that takes too long is logged with what ran") {
    Lines lines;
    Loop loop("api", core::Logger(&lines, "net"));
    SystemClock clock;
    loop.post(
        [&] {
            core::Instant end = clock.now() + kLoopStall + milliseconds(20);
            while (clock.now() < end) {
            }
            loop.post([&] { loop.stop(); });
        },
        "slow thing");
    loop.run();
    REQUIRE(loop.stalls() >= 1);
    REQUIRE(lines.lines.size() == loop.stalls());
    CHECK(lines.lines[0].find("slow thing") != std::string::npos);
    CHECK(lines.lines[0].find("loop=api") != std::string::npos);
}

TEST_CASE("an executor works in order on its own thread and reports on the loop") {
    Loop loop("test");
    ThreadExecutor executor(loop, "writer");
    std::vector<int> worked;
    std::vector<int> done;
    std::thread::id worker;
    for (int i = 0; i < 100; ++i) {
        executor.submit(
            [&, i] {
                worker = std::this_thread::get_id();
                worked.push_back(i);
            },
            [&, i] {
                CHECK(loop.on_thread());
                done.push_back(i);
                if (i == 99) loop.stop();
            });
    }
    loop.run();
    CHECK(worked == done);
    CHECK(worker != std::this_thread::get_id());
}

TEST_CASE("an executor that dies delivers nothing more") {
    Loop loop("test");
    bool delivered = false;
    {
        ThreadExecutor executor(loop, "writer");
        executor.submit([] {}, [&] { delivered = true; });
    }
    loop.post([&] { loop.stop(); });
    loop.run();
    CHECK(!delivered);
}

Task<Result<int>> offload(Loop& loop, WorkerPool& pool) {
    std::thread::id here = std::this_thread::get_id();
    co_return co_await pool.run<int>(loop, [here]() -> Result<int> {
        if (std::this_thread::get_id() == here) return core::fail(Errc::kInvalid, "same thread");
        return 42;
    });
}

TEST_CASE("a worker computes elsewhere and answers on the loop") {
    Loop loop("test");
    WorkerPool pool("work", 2, 8);
    CHECK(block_on(loop, offload(loop, pool)).value() == 42);
}

TEST_CASE("a full worker queue is kBusy") {
    Loop loop("test");
    WorkerPool pool("work", 1, 0);
    auto refused = block_on(loop, offload(loop, pool));
    CHECK(refused.error().code == Errc::kBusy);
    CHECK(refused.error().retry_after_ms > 0);
}

TEST_CASE("two random sources differ") {
    SystemRandom one;
    SystemRandom other;
    CHECK(one.next() != other.next());
}

}  // namespace
}  // namespace smackd::net
