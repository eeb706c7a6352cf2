// The place where it all happens: machines, the network between them, and what is counted and checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/cluster/checker.h"
#include "tests/sim/cluster/counts.h"
#include "tests/sim/cluster/mesh.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace smackd::sim::cluster {

class Machine;

inline constexpr const char* kClusterId = "c0ffee";

struct Site {
    explicit Site(uint64_t seed);
    ~Site();

    core::Duration between(int64_t low_ms, int64_t high_ms);
    /// From a client or an administrator to a server.
    core::Duration hop();
    uint64_t below(uint64_t limit) { return world.random().below(limit); }
    bool one_in(uint64_t n) { return world.random().one_in(n); }

    /// The machine whose daemon runs as this node; nullptr: none does.
    Machine* running(uint64_t node);
    /// The machine that has this node's data directory.
    Machine* installed(uint64_t node);
    Machine* at(const std::string& address);
    /// Any machine whose daemon runs; nullptr: none does.
    Machine* any_running();
    /// Leads the newest epoch and may plan, as far as one server can tell.
    Machine* leader();
    void note(Event event, const std::string& what);

    World world;
    Network network;
    Counts counts;
    Checker checker;
    Mesh mesh;
    std::vector<std::unique_ptr<Machine>> machines;
    core::LogSink* log = nullptr;
};

}  // namespace smackd::sim::cluster
