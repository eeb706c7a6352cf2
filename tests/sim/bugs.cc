#include "tests/sim/bugs.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/planted.h"
#include "tests/sim/lifetime.h"

namespace smackd::sim {
namespace {

constexpr const char* kList = "tests/sim/planted.txt";
constexpr unsigned long long kSearch = 300;  // seeds tried when the one on the list no longer catches its bug
constexpr rlim_t kCpuSecondsMax = 20;        // of one lifetime; a hundred times what it needs

std::string failure(const std::string& name, unsigned long long seed) {
    return failure_with(name, [seed] {
        return run_lifetime({.seed = seed, .operations = 500, .trace = false, .messages = false}).violation;
    });
}

/// Only a seed that passes without the bug proves anything. Returns what noticed the bug, or nothing.
std::string caught(const std::string& name, unsigned long long seed) {
    std::string what = failure(name, seed);
    return what.empty() || !failure("", seed).empty() ? std::string() : what;
}

}  // namespace

bool plant(const std::string& name) {
#ifdef SMACKD_PLANTED_BUGS
    core::plant_bug(name);
    return true;
#else
    return name.empty();
#endif
}

std::string failure_with(const std::string& bug, const std::function<std::string()>& run) {
    std::fflush(stdout);
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        std::freopen("/dev/null", "w", stderr);
        const rlimit limit{kCpuSecondsMax, kCpuSecondsMax};
        ::setrlimit(RLIMIT_CPU, &limit);
        plant(bug);
        const std::string what = run().substr(0, 200);
        ::_exit(::write(ends[1], what.data(), what.size()) == static_cast<ssize_t>(what.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    std::array<char, 256> what{};
    const ssize_t count = ::read(ends[0], what.data(), what.size());
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status)) return WTERMSIG(status) == SIGXCPU ? "it never ends" : "an assertion fails";
    return count > 0 ? std::string(what.data(), static_cast<size_t>(count)) : std::string();
}

int run_all_bugs() {
    if (!plant("")) return 2;
    std::ifstream list(kList);
    if (!list) {
        std::fprintf(stderr, "sim: %s not found: run it from the top of the tree\n", kList);
        return 2;
    }
    int found = 0;
    int missed = 0;
    for (std::string line; std::getline(list, line);) {
        std::istringstream words(line);
        std::string name;
        unsigned long long listed = 0;
        if (line.starts_with('#') || !(words >> name)) continue;
        words >> listed;
        unsigned long long seed = listed;
        std::string what = listed == 0 ? std::string() : caught(name, listed);
        for (unsigned long long i = 1; what.empty() && i <= kSearch; ++i) what = caught(name, seed = i);
        ++(what.empty() ? missed : found);
        if (what.empty()) {
            std::printf("MISSED %-32s by seed %llu and seeds 1 to %llu\n", name.c_str(), listed, kSearch);
        } else {
            std::printf("caught %-32s seed %llu%s: %s\n", name.c_str(), seed,
                        seed == listed ? "" : " (put it on the list)", what.c_str());
        }
    }
    std::printf("planted bugs: %d caught, %d missed\n", found, missed);
    return missed == 0 ? 0 : 1;
}

}  // namespace smackd::sim
