#include "tests/sim/bugs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "core/planted.h"
#include "tests/sim/lifetime.h"

namespace smackd::sim {
namespace {

constexpr const char* kList = "tests/sim/planted.txt";
constexpr unsigned long long kSearch = 400;  // seeds tried when the one on the list no longer catches its bug

/// Whether a lifetime fails, in a child: a bug may well end in a failed assertion, which counts as noticed.
bool fails(const std::string& name, unsigned long long seed) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
        std::freopen("/dev/null", "w", stderr);
        plant(name);
        const LifetimeResult result =
            run_lifetime({.seed = seed, .operations = 500, .trace = false, .messages = false});
        ::_exit(result.violation.empty() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/// Only a seed that passes without the bug proves anything.
bool caught(const std::string& name, unsigned long long seed) {
    return fails(name, seed) && !fails("", seed);
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

unsigned long long find_seed(const std::string& name, unsigned long long from, unsigned long long count) {
    for (unsigned long long seed = from; seed < from + count; ++seed) {
        if (caught(name, seed)) return seed;
    }
    return 0;
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
        unsigned long long seed = 0;
        if (line.starts_with('#') || !(words >> name)) continue;
        words >> seed;
        if (seed != 0 && caught(name, seed)) {
            ++passed;
            std::printf("caught %-32s seed %llu\n", name.c_str(), seed);
            continue;
        }
        const unsigned long long found = find_seed(name, 1, kSearch);
        ++(found != 0 ? passed : failed);
        std::printf("%s %-32s seed %llu%s\n", found != 0 ? "caught" : "MISSED", name.c_str(), found,
                    found != 0 ? " (put it on the list)" : "");
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

}  // namespace smackd::sim
