#include "cmd/smackd/node/node_usage.h"

#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

constexpr std::string_view kStat =
    "cpu  100 20 30 800 50 1 2 3 40 0\ncpu0 100 20 30 800 50 1 2 3 40 0\nintr 5\n";

TEST_CASE("processors: idle and waiting is not busy, guests are counted once") {
    const auto ticks = parse_processor_ticks(kStat);
    REQUIRE(ticks);
    CHECK(ticks->busy == 156);
    CHECK(ticks->all == 1006);
    CHECK_FALSE(parse_processor_ticks(""));
    CHECK_FALSE(parse_processor_ticks("cpu0 1 2 3 4 5\n"));
    CHECK_FALSE(parse_processor_ticks("cpu  1 2 3\n"));
    CHECK(parse_processor_ticks("cpu  1 2 3 4 5")->all == 15);
}

TEST_CASE("memory: what programs that start now cannot have is used") {
    const auto memory = parse_memory("MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:    400 kB\n");
    REQUIRE(memory);
    CHECK(memory->total == 1024'000);
    CHECK(memory->used == 600 * 1024);
    CHECK_FALSE(parse_memory("MemTotal:  1000 kB\n"));
    CHECK_FALSE(parse_memory("MemTotal:  kB\nMemAvailable: 1 kB\n"));
    CHECK_FALSE(parse_memory("MemTotal:  1 kB\nMemAvailable: 2 kB\n"));
}

TEST_CASE("this machine is measured, and the end does not wait for the next sample") {
    net::SystemClock clock;
    NodeUsage usage(clock);
    std::vector<services::UsageSample> samples;
    for (int looked = 0; looked < 600 && samples.empty(); ++looked) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        samples = usage.usage(0);
    }
    REQUIRE_FALSE(samples.empty());
    CHECK(samples[0].cpu_share >= 0);
    CHECK(samples[0].cpu_share <= 1);
    CHECK(samples[0].memory_used_bytes > 0);
    CHECK(samples[0].memory_used_bytes < samples[0].memory_total_bytes);
    CHECK(usage.usage(samples.back().time_ms).size() < 2);
}

}  // namespace
}  // namespace smackd::cmd
