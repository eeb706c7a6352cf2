// A majority of the voters is gone: the administrator goes on with one disk by `smackd recover`, and deals
// with the others when they come back.
#include <algorithm>
#include <format>

#include "tests/sim/cluster/administrator.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

/// Everybody who votes as far as one of those that run knows, in the newest lineage.
std::vector<Machine*> known_voters(Site& site) {
    std::vector<Machine*> voters;
    for (const auto& machine : site.machines) {
        if (!machine->running()) continue;
        const storage::ReplicaStatus status = machine->node->status();
        if (status.recoveries + 1 != site.checker.epoch()) continue;
        for (const storage::Server& server : status.servers) {
            Machine* voter = site.installed(server.id.value);
            const bool votes = server.role == storage::ServerRole::kVoter && voter != nullptr;
            if (votes && !voter->left_behind && !std::ranges::contains(voters, voter))
                voters.push_back(voter);
        }
    }
    return voters;
}

std::vector<Machine*> voters_of(Site& site, Machine& leader) {
    std::vector<Machine*> voters;
    for (const storage::Server& server : leader.node->status().servers) {
        Machine* voter = site.installed(server.id.value);
        if (server.role == storage::ServerRole::kVoter && voter != nullptr) voters.push_back(voter);
    }
    return voters;
}

}  // namespace

bool Administrator::lose_majority(bool all) {
    Machine* leader = site_.leader();
    if (leader == nullptr || disaster_) return false;
    if (site_.checker.registry().machines.empty()) return false;  // there is no cluster yet
    std::vector<Machine*> voters = all ? known_voters(site_) : voters_of(site_, *leader);
    if (!all && voters.size() < 2) return false;
    disaster_ = true;
    site_.note(all ? Event::kOutage : Event::kMajorityLost, std::format("{} voters", voters.size()));
    if (all) {
        for (const auto& machine : site_.machines) stop(*machine);
        site_.world.schedule(site_.between(100, 2500), [this, voters] { recover(voters, true); });
        return true;
    }
    // Between a majority and all but one of them are lost.
    std::vector<Machine*> left = voters;
    std::vector<Machine*> lost;
    const size_t least = (voters.size() + 1) / 2;
    const size_t count = least + site_.below(voters.size() - least);
    while (lost.size() < count) {
        const size_t at = site_.below(left.size());
        lost.push_back(left[at]);
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
    // In half of the cases they have been out of reach for a while before.
    const bool apart = site_.one_in(2);
    if (apart) set_apart(lost, left);
    site_.world.schedule(apart ? site_.between(100, 2000) : core::Duration{0}, [this, lost, left] {
        for (Machine* machine : lost) stop(*machine);
        site_.world.schedule(site_.between(100, 2500), [this, left] { recover(left, false); });
    });
    return true;
}

void Administrator::stop(Machine& machine) {
    machine.held_down = true;
    machine.crash(site_.one_in(2));
}

void Administrator::set_apart(const std::vector<Machine*>& some, const std::vector<Machine*>& others) {
    for (const Machine* one : some) {
        for (const Machine* other : others) {
            if (!one->installation || !other->installation) continue;
            site_.network.cut(one->installation->id, other->installation->id);
            site_.network.cut(other->installation->id, one->installation->id);
        }
    }
}

/// The most advanced of those at hand, by term and index of its last entry; all others are stopped.
void Administrator::recover(const std::vector<Machine*>& voters, bool all) {
    Machine* best = nullptr;
    std::pair<uint64_t, uint64_t> best_place;
    site_.network.heal();
    for (const auto& machine : site_.machines) {
        machine->held_down = true;
        machine->crash(false);
    }
    for (Machine* voter : voters) {
        const auto found = voter->installation ? voter->installation->process->survey()
                                               : core::fail(core::Errc::kNotFound, "emptied");
        if (!found) {
            site_.world.trace(std::format("{} is no survivor: {}", voter->name, found.error().message));
            continue;
        }
        const std::pair place{found->term.value, found->last.value};
        if (best != nullptr && place <= best_place) continue;
        best = voter;
        best_place = place;
    }
    if (best == nullptr) return site_.world.violate("no voter is left to recover from");
    auto recovered = best->recover();
    if (!recovered)
        return site_.world.violate(best->name + " does not recover: " + recovered.error().to_string());
    site_.note(Event::kRecovered,
               std::format("{} (n{}) at entry {}, revision {}", best->name, best->id().value,
                           recovered->last.value, recovered->revision.to_string()));
    best->held_down = false;
    best->boot();
    site_.checker.recovered(*best, all);
    // Whoever leads a state without a cluster makes one.
    if (site_.checker.registry().machines.empty()) send(setup_, [] {});
    for (const auto& machine : site_.machines) {
        if (machine.get() == best) continue;
        if (!machine->installation) {
            machine->held_down = false;
            continue;
        }
        machine->left_behind = true;
        let_left_behind_return(*machine);
    }
    disaster_ = false;
}

/// With the old data it is to be refused, by whichever way it comes.
void Administrator::let_left_behind_return(Machine& machine) {
    site_.world.schedule(site_.between(300, 4000), [this, &machine] {
        if (disaster_) return let_left_behind_return(machine);
        machine.held_down = false;
        if (!machine.left_behind || site_.one_in(4)) return;
        site_.note(Event::kLeftBehindReturned, machine.name);
        machine.busy = true;
        machine.boot();
        site_.world.schedule(site_.between(500, 3000), [&machine] { machine.busy = false; });
    });
}

}  // namespace smackd::sim::cluster
