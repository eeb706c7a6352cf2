#include "tests/sim/cluster/run.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>

#include "tests/sim/bugs.h"
#include "tests/sim/cluster/lifetime.h"

namespace smackd::sim::cluster {
namespace {

constexpr const char* kList = "tests/sim/cluster/planted.txt";
constexpr int kFailuresMax = 5;
constexpr size_t kLinesPrinted = 60;

struct Arguments {
    uint64_t seed = 1;
    uint64_t lifetimes = 20;
    std::string bug;
    bool trace = false;
};

int usage() {
    std::fprintf(
        stderr,
        "usage: sim --cluster [--seed N] [--lifetimes K] [--trace] [--bug NAME|all]\n"
        "  K seeded lifetimes of a whole cluster with what must hold in them; --bug plants a bug, `all` "
        "runs every\n"
        "  bug of tests/sim/cluster/planted.txt\n");
    return 2;
}

bool read(int argc, char** argv, Arguments& arguments) {
    for (int i = 0; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--trace") {
            arguments.trace = true;
            continue;
        }
        if (++i == argc) return false;
        if (name == "--seed") {
            arguments.seed = std::strtoull(argv[i], nullptr, 10);
        } else if (name == "--lifetimes") {
            arguments.lifetimes = std::strtoull(argv[i], nullptr, 10);
        } else if (name == "--bug") {
            arguments.bug = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

struct Sum {
    Counts counts;
    std::map<uint64_t, uint64_t> members;  ///< lifetimes by servers at their end
    uint64_t messages = 0, events = 0, virtual_ms = 0;
};

void line(const std::string& name, uint64_t value) {
    std::printf("%-26s %llu\n", name.c_str(), static_cast<unsigned long long>(value));
}

void print(const Sum& sum) {
    for (const auto& [members, lifetimes] : sum.members)
        line("lifetimes_of_" + std::to_string(members) + "_servers", lifetimes);
    for (size_t i = 0; i < kEvents; ++i) line(event_name(static_cast<Event>(i)), sum.counts.of[i]);
    line("messages", sum.messages);
    line("virtual_seconds", sum.virtual_ms / 1000);
}

void print_failure(uint64_t seed, const LifetimeResult& result) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), result.violation.c_str());
    const size_t first = result.lines.size() > kLinesPrinted ? result.lines.size() - kLinesPrinted : 0;
    for (size_t i = first; i < result.lines.size(); ++i) std::printf("  %s\n", result.lines[i].c_str());
}

int run_lifetimes(const Arguments& arguments) {
    Sum sum;
    uint64_t passed = 0;
    int failed = 0;
    const auto begin = std::clock();
    for (uint64_t i = 0; i < arguments.lifetimes && failed < kFailuresMax; ++i) {
        const uint64_t seed = arguments.seed + i;
        const LifetimeResult result = run_lifetime(seed, arguments.trace);
        sum.counts.add(result.counts);
        sum.messages += result.messages;
        sum.virtual_ms += result.virtual_ms;
        if (result.violation.empty()) {
            ++passed;
            ++sum.members[result.members];
            continue;
        }
        ++failed;
        print_failure(seed, result);
    }
    print(sum);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("cpu_seconds_per_lifetime   %.3f\n",
                seconds / static_cast<double>(passed + static_cast<uint64_t>(failed)));
    std::printf("%llu passed, %d failed\n", static_cast<unsigned long long>(passed), failed);
    return failed == 0 ? 0 : 1;
}

}  // namespace

int run(int argc, char** argv) {
    Arguments arguments;
    if (!read(argc, argv, arguments)) return usage();
    if (arguments.bug == "all") {
        return run_listed_bugs(kList, [](uint64_t seed) { return run_lifetime(seed, false).violation; });
    }
    if (!plant(arguments.bug)) {
        std::fprintf(stderr, "sim: this build has no planted bugs; build it with SMACKD_PLANTED_BUGS\n");
        return 2;
    }
    return run_lifetimes(arguments);
}

}  // namespace smackd::sim::cluster
