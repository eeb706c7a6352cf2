#include "tests/sim/gossip/run.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/sim/bugs.h"
#include "tests/sim/gossip/measure.h"
#include "tests/sim/gossip/stories.h"

namespace smackd::sim::gossip {
namespace {

constexpr const char* kList = "tests/sim/gossip/planted.txt";

struct Arguments {
    uint64_t seed = 1;
    uint64_t lifetimes = 20;
    std::string bug;
    bool trace = false;
    bool figures = false;
    MeasureOptions measure;
};

int usage() {
    std::fprintf(
        stderr,
        "usage: sim --gossip [--seed N] [--lifetimes K] [--trace 0|1] [--bug NAME|all]\n"
        "  K seeded stories of a small cluster with what must hold in them; --bug plants a bug, `all` runs\n"
        "  every bug of tests/sim/gossip/planted.txt\n"
        "       sim --gossip --nodes N [--seed N] [--hours H] [--loss 0..1] [--stream-ping 0|1]\n"
        "           [--kill-every SECONDS] [--pausing SHARE] [--pause-every SECONDS] [--pauses FILE]\n"
        "  figures of a large one. FILE has lengths in ms, one a line; else they are drawn up to 2000 ms\n");
    return 2;
}

/// A fifth of them at the limit, the others shorter the likelier.
std::vector<uint64_t> drawn_pauses(uint64_t seed) {
    core::SeededRandom random(seed);
    std::vector<uint64_t> lengths;
    for (int i = 0; i < 800; ++i) lengths.push_back(50 + random.below(1 + random.below(1950)));
    lengths.resize(1000, 2000);
    return lengths;
}

bool read_pauses(const std::string& path, std::vector<uint64_t>& lengths) {
    std::ifstream file(path);
    for (uint64_t length = 0; file >> length;) lengths.push_back(length);
    return !lengths.empty();
}

int run_stories(const Arguments& arguments) {
    uint64_t passed = 0;
    uint64_t failed = 0;
    for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.lifetimes && failed < 5; ++seed) {
        const std::string violation = run_stories_of(seed, arguments.trace);
        ++(violation.empty() ? passed : failed);
        if (!violation.empty()) {
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
        }
    }
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}

int run_all_bugs() {
    if (!plant("")) return 2;
    std::ifstream list(kList);
    if (!list) {
        std::fprintf(stderr, "sim: %s not found: run it from the top of the tree\n", kList);
        return 2;
    }
    int passed = 0;
    int failed = 0;
    for (std::string line; std::getline(list, line);) {
        std::istringstream words(line);
        std::string name;
        uint64_t seed = 0;
        if (line.starts_with('#') || !(words >> name >> seed)) continue;
        const auto run = [seed] { return run_stories_of(seed); };
        const std::string violation = failure_with(name, run);
        const bool caught = !violation.empty() && failure_with("", run).empty();
        ++(caught ? passed : failed);
        std::printf("%s %-30s seed %llu: %s\n", caught ? "caught" : "MISSED", name.c_str(),
                    static_cast<unsigned long long>(seed), violation.c_str());
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

Duration in_seconds(const char* value) {
    return Duration(static_cast<int64_t>(std::strtod(value, nullptr) * 1e9));
}

/// False when the name is not known.
bool read(const std::string& name, const char* value, Arguments& arguments) {
    MeasureOptions& measure = arguments.measure;
    if (name == "--seed") {
        arguments.seed = measure.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--lifetimes") {
        arguments.lifetimes = std::strtoull(value, nullptr, 10);
    } else if (name == "--trace") {
        arguments.trace = std::strtoull(value, nullptr, 10) != 0;
    } else if (name == "--bug") {
        arguments.bug = value;
    } else if (name == "--nodes") {
        arguments.figures = true;
        measure.nodes = std::strtoull(value, nullptr, 10);
    } else if (name == "--hours") {
        measure.hours = std::strtod(value, nullptr);
    } else if (name == "--loss") {
        measure.network.loss = std::strtod(value, nullptr);
    } else if (name == "--stream-ping") {
        measure.network.stream_ping = std::strtoull(value, nullptr, 10) != 0;
    } else if (name == "--kill-every") {
        measure.kill_every = in_seconds(value);
    } else if (name == "--pausing") {
        measure.pausing = std::strtod(value, nullptr);
    } else if (name == "--pause-every") {
        measure.pause_every = in_seconds(value);
    } else if (name == "--pauses") {
        return read_pauses(value, measure.pauses_ms);
    } else {
        return false;
    }
    return true;
}

}  // namespace

int run(int argc, char** argv) {
    Arguments arguments;
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 >= argc || !read(argv[i], argv[i + 1], arguments)) return usage();
    }
    if (arguments.bug == "all") return run_all_bugs();
    if (!plant(arguments.bug)) {
        std::fprintf(stderr, "sim: this build has no planted bugs; build it with SMACKD_PLANTED_BUGS\n");
        return 2;
    }
    if (!arguments.figures) return run_stories(arguments);
    if (arguments.measure.nodes < 3) return usage();
    if (arguments.measure.pauses_ms.empty()) arguments.measure.pauses_ms = drawn_pauses(arguments.seed);
    return measure(arguments.measure);
}

}  // namespace smackd::sim::gossip
