// sim: runs seeded lifetimes of a cluster and says how many passed; a violation prints its seed and last
// lines.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "core/planted.h"
#include "tests/sim/bugs.h"
#include "tests/sim/cluster/run.h"
#include "tests/sim/gossip/run.h"
#include "tests/sim/lifetime.h"
#include "tests/sim/placement/run.h"

using namespace smackd::sim;

namespace {

struct Arguments {
    uint64_t seed = 1;
    uint64_t lifetimes = 20;
    uint64_t operations = 500;
    bool trace = false;
    bool messages = false;
    std::string bug;
};

struct Sum : LifetimeResult {
    std::map<uint64_t, uint64_t> lifetimes;  ///< that passed, by number of servers
    uint64_t acknowledged_min = UINT64_MAX;
};

void add(Sum& sum, const LifetimeResult& one) {
    if (one.violation.empty()) {
        ++sum.lifetimes[one.servers];
        sum.acknowledged_min = std::min(sum.acknowledged_min, one.acknowledged);
    }
    for (size_t i = 0; i < kFaults; ++i) sum.faults[i] += one.faults[i];
    sum.clients.writes += one.clients.writes;
    sum.clients.reads += one.clients.reads;
    sum.clients.retries += one.clients.retries;
    sum.clients.unknown += one.clients.unknown;
    sum.clients.refused += one.clients.refused;
    sum.clients.invalid += one.clients.invalid;
    sum.network.sent += one.network.sent;
    sum.network.dropped += one.network.dropped;
    sum.network.doubled += one.network.doubled;
    sum.network.reordered += one.network.reordered;
    sum.network.delayed += one.network.delayed;
    sum.network.cut += one.network.cut;
    sum.acknowledged += one.acknowledged;
    sum.elections += one.elections;
    sum.installs += one.installs;
    sum.snapshots += one.snapshots;
    sum.lives += one.lives;
    sum.torn += one.torn;
    sum.lost += one.lost;
    sum.full_writes += one.full_writes;
    sum.feed_visits += one.feed_visits;
    sum.events += one.events;
    sum.virtual_ms += one.virtual_ms;
}

void print(const Sum& sum) {
    for (const auto& [servers, count] : sum.lifetimes) {
        std::printf("lifetimes_of_%llu_servers   %llu\n", static_cast<unsigned long long>(servers),
                    static_cast<unsigned long long>(count));
    }
    for (size_t i = 0; i < kFaults; ++i) {
        std::printf("%-24s %llu\n", fault_name(static_cast<Fault>(i)),
                    static_cast<unsigned long long>(sum.faults[i]));
    }
    const auto line = [](const char* name, uint64_t value) {
        std::printf("%-24s %llu\n", name, static_cast<unsigned long long>(value));
    };
    line("writes_torn", sum.torn);
    line("writes_lost", sum.lost);
    line("writes_without_space", sum.full_writes);
    line("messages", sum.network.sent);
    line("messages_dropped", sum.network.dropped);
    line("messages_doubled", sum.network.doubled);
    line("messages_delayed", sum.network.delayed);
    line("messages_reordered", sum.network.reordered);
    line("messages_cut", sum.network.cut);
    line("lives", sum.lives);
    line("elections", sum.elections);
    line("snapshots", sum.snapshots);
    line("snapshot_installs", sum.installs);
    line("acknowledged", sum.acknowledged);
    line("acknowledged_min", sum.acknowledged_min);
    line("writes", sum.clients.writes);
    line("consistent_reads", sum.clients.reads);
    line("conflicts_refused", sum.clients.refused);
    line("invalid_refused", sum.clients.invalid);
    line("feed_visits", sum.feed_visits);
    line("retries", sum.clients.retries);
    line("unknown_outcomes", sum.clients.unknown);
    line("virtual_seconds", sum.virtual_ms / 1000);
}

void print_failure(uint64_t seed, const LifetimeResult& result) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), result.violation.c_str());
    const size_t first = result.lines.size() > 40 ? result.lines.size() - 40 : 0;
    for (size_t i = first; i < result.lines.size(); ++i) std::printf("  %s\n", result.lines[i].c_str());
}

int run(const Arguments& arguments) {
    Sum sum;
    uint64_t passed = 0;
    uint64_t failed = 0;
    const auto begin = std::clock();
    for (uint64_t i = 0; i < arguments.lifetimes && failed < 5; ++i) {
        const uint64_t seed = arguments.seed + i;
        const LifetimeResult result = run_lifetime({.seed = seed,
                                                    .operations = arguments.operations,
                                                    .trace = arguments.trace,
                                                    .messages = arguments.messages});
        add(sum, result);
        if (result.violation.empty()) {
            ++passed;
            continue;
        }
        ++failed;
        print_failure(seed, result);
    }
    print(sum);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("cpu_seconds_per_lifetime %.3f\n", seconds / static_cast<double>(passed + failed));
    std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(arguments.seed),
                static_cast<unsigned long long>(arguments.seed + passed + failed - 1));
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}

int usage() {
    std::fprintf(stderr,
                 "usage: sim [--seed N] [--lifetimes K] [--ops N] [--trace] [--messages] [--bug NAME|all]\n"
                 "  runs K seeded lifetimes of a simulated cluster from seed N on; --bug plants a bug by "
                 "name, `all` runs\n"
                 "  every bug of tests/sim/planted.txt and says which are caught\n");
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    if (argc > 1 && std::strcmp(argv[1], "--gossip") == 0) return gossip::run(argc - 2, argv + 2);
    if (argc > 1 && std::strcmp(argv[1], "--cluster") == 0) return cluster::run(argc - 2, argv + 2);
    if (argc > 1 && std::strcmp(argv[1], "--placement") == 0) return placement::run(argc - 2, argv + 2);
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (name == "--trace") {
            arguments.trace = true;
            continue;
        }
        if (name == "--messages") {
            arguments.trace = arguments.messages = true;
            continue;
        }
        if (value == nullptr) return usage();
        ++i;
        if (name == "--seed") {
            arguments.seed = std::strtoull(value, nullptr, 10);
        } else if (name == "--lifetimes" || name == "--count") {
            arguments.lifetimes = std::strtoull(value, nullptr, 10);
        } else if (name == "--ops") {
            arguments.operations = std::strtoull(value, nullptr, 10);
        } else if (name == "--bug") {
            arguments.bug = value;
        } else {
            return usage();
        }
    }
    if (arguments.bug == "all") {
        return run_listed_bugs("tests/sim/planted.txt", [&](uint64_t seed) {
            return run_lifetime(
                       {.seed = seed, .operations = arguments.operations, .trace = false, .messages = false})
                .violation;
        });
    }
    if (!arguments.bug.empty() && !plant(arguments.bug)) {
        std::fprintf(stderr, "sim: this build has no planted bugs; build it with SMACKD_PLANTED_BUGS\n");
        return 2;
    }
    return run(arguments);
}
