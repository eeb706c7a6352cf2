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

namespace smackd::sim {
namespace {

constexpr uint64_t kSearch = 300;      // seeds tried when the one on the list no longer catches its bug
constexpr rlim_t kCpuSecondsMax = 20;  // of one lifetime; a hundred times what it needs

using Lifetime = std::function<std::string(uint64_t)>;

/// Only a seed that passes without the bug proves anything. Returns what noticed the bug, or nothing.
std::string caught(const std::string& bug, const Lifetime& lifetime, uint64_t seed) {
    const auto run = [&] { return lifetime(seed); };
    std::string what = failure_with(bug, run);
    return what.empty() || !failure_with("", run).empty() ? std::string() : what;
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

int run_listed_bugs(const std::string& list, const Lifetime& lifetime) {
    if (!plant("")) return 2;
    std::ifstream lines(list);
    if (!lines) {
        std::fprintf(stderr, "sim: %s not found: run it from the top of the tree\n", list.c_str());
        return 2;
    }
    int found = 0;
    int missed = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        uint64_t listed = 0;
        if (line.starts_with('#') || !(words >> name)) continue;
        words >> listed;
        uint64_t seed = listed;
        std::string what = listed == 0 ? std::string() : caught(name, lifetime, listed);
        for (uint64_t i = 1; what.empty() && i <= kSearch; ++i) what = caught(name, lifetime, seed = i);
        ++(what.empty() ? missed : found);
        if (what.empty()) {
            std::printf("MISSED %-32s by seed %llu and seeds 1 to %llu\n", name.c_str(),
                        static_cast<unsigned long long>(listed), static_cast<unsigned long long>(kSearch));
        } else {
            std::printf("caught %-32s seed %llu%s: %s\n", name.c_str(), static_cast<unsigned long long>(seed),
                        seed == listed ? "" : " (put it on the list)", what.c_str());
        }
    }
    std::printf("%d passed, %d failed\n", found, missed);
    std::printf("planted bugs: %d caught, %d missed\n", found, missed);
    return missed == 0 ? 0 : 1;
}

}  // namespace smackd::sim
