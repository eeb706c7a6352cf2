// Random cases of placement beside a naive oracle, and of a warm planner beside a cold one
// (tests/sim/placement, where bugs are planted to prove that both are noticed). PLACEMENT_CASES says how
// many.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "tests/sim/placement/cases.cc"
#include "tests/sim/placement/oracle.cc"
#include "tests/sim/placement/warm.cc"

namespace smackd::sim::placement {
namespace {

uint64_t cases() {
    const char* wanted = std::getenv("PLACEMENT_CASES");
    return wanted == nullptr ? 2'000 : std::strtoull(wanted, nullptr, 10);
}

TEST_CASE("an oracle finds nothing wrong with any placement") {
    Counts counts;
    for (uint64_t seed = 1; seed <= cases(); ++seed) {
        const std::string wrong = check_placement(seed, counts);
        INFO("seed " << seed << ": " << wrong);
        REQUIRE(wrong.empty());
    }
    CHECK(counts.placed > counts.cases);
    CHECK(counts.refused > counts.cases);
}

TEST_CASE("a planner that is told of changes decides as one that looks at everything") {
    Counts counts;
    for (uint64_t seed = 1; seed <= std::max<uint64_t>(1, cases() / 50); ++seed) {
        const std::string wrong = check_warm(seed, counts);
        INFO("seed " << seed << ": " << wrong);
        REQUIRE(wrong.empty());
    }
}

}  // namespace
}  // namespace smackd::sim::placement
