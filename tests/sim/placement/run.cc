#include "tests/sim/placement/run.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/bugs.h"
#include "tests/sim/placement/cases.h"

namespace smackd::sim::placement {
namespace {

/// Lives of a warm planner beside a cold one: one for so many cases, as they take longer.
constexpr uint64_t kCasesPerLife = 50;
/// With a bug planted: cases that may pass before it is noticed.
constexpr uint64_t kCasesPerBug = 20'000;

int usage() {
    std::fprintf(stderr,
                 "usage: sim --placement [--seed N] [--lifetimes K] [--bug NAME|all]\n"
                 "  K random cases of placement beside a naive oracle, and a life of the planner for each "
                 "%llu of them; "
                 "--bug\n  plants a bug, `all` runs every bug of tests/sim/placement/planted.txt\n",
                 static_cast<unsigned long long>(kCasesPerLife));
    return 2;
}

std::string check(uint64_t seed, Counts& counts) {
    if (std::string wrong = check_placement(seed, counts); !wrong.empty()) return wrong;
    return seed % kCasesPerLife == 0 ? check_warm(seed, counts) : std::string();
}

int run_cases(uint64_t first, uint64_t cases) {
    Counts counts;
    uint64_t failed = 0;
    for (uint64_t seed = first; seed < first + cases && failed < 5; ++seed) {
        const std::string wrong = check(seed, counts);
        if (wrong.empty()) continue;
        ++failed;
        std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
    }
    std::printf("cases %llu\nplaced %llu\nno_place %llu\nwarm_steps %llu\n",
                static_cast<unsigned long long>(counts.cases), static_cast<unsigned long long>(counts.placed),
                static_cast<unsigned long long>(counts.refused),
                static_cast<unsigned long long>(counts.steps));
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(counts.cases - failed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}

/// A seed of the list stands for the cases from it on.
std::string first_wrong(uint64_t seed) {
    Counts counts;
    for (uint64_t i = 0; i < kCasesPerBug; ++i) {
        if (std::string wrong = check(seed + i, counts); !wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace

int run(int argc, char** argv) {
    uint64_t seed = 1;
    uint64_t cases = 2'000;
    std::string bug;
    for (int i = 0; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--seed") {
            seed = std::strtoull(argv[i + 1], nullptr, 10);
        } else if (name == "--lifetimes") {
            cases = std::strtoull(argv[i + 1], nullptr, 10);
        } else if (name == "--bug") {
            bug = argv[i + 1];
        } else {
            return usage();
        }
    }
    if (argc % 2 != 0) return usage();
    if (bug == "all") return run_listed_bugs("tests/sim/placement/planted.txt", first_wrong);
    if (!bug.empty() && !plant(bug)) {
        std::fprintf(stderr, "sim: this build has no planted bugs; build it with SMACKD_PLANTED_BUGS\n");
        return 2;
    }
    return run_cases(seed, cases);
}

}  // namespace smackd::sim::placement
