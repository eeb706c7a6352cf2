#include "tests/sim/cluster/story.h"

#include <algorithm>
#include <format>

#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::milliseconds kTendEvery{400};

}  // namespace

Story::Story(Site& site, Administrator& administrator) : site_(site), administrator_(administrator) {
    static constexpr std::array<uint64_t, kKinds> kChosen = {50, 35, 35, 45, 35, 40, 30, 30, 40, 90,
                                                             45, 90, 35, 35, 35, 40, 12, 18, 100};
    for (size_t i = 0; i < kKinds; ++i) chosen_[i] = site_.below(100) < kChosen[i];
    pace_ms_ = static_cast<int64_t>(150 + site_.below(500));
    recoveries_left_ = 1 + site_.below(2);
    old_versions_ = site_.below(6) == 0;
}

void Story::start() {
    for (size_t i = 1; i <= kMachinesMax; ++i)
        site_.machines.push_back(std::make_unique<Machine>(site_, std::format("m{}", i)));
    static constexpr std::array<size_t, 8> kFirst = {1, 1, 2, 3, 3, 3, 3, 5};
    const size_t first = kFirst[site_.below(kFirst.size())];
    if (old_versions_) {
        for (size_t i = 0; i < first; ++i) {
            if (site_.one_in(2)) site_.machines[i]->feature_level_max = 1;
        }
    }
    administrator_.bootstrap(first, old_versions_ ? 1 : storage::state::kFeatureLevelMax);
    if (old_versions_)
        site_.world.schedule(site_.between(1500, 4000), [this] { administrator_.raise_level(); });
    schedule();
    tend();
}

void Story::end() {
    ended_ = true;
    site_.world.trace("everything is healed");
    site_.network.heal();
    site_.network.drop_permille = site_.network.double_permille = site_.network.delay_permille = 0;
    for (const auto& machine : site_.machines) {
        if (machine->wanted == Wanted::kSuspended) {
            machine->wanted = Wanted::kMember;
            site_.note(Event::kMachineResumed, machine->name);
        }
        if (machine->installation) machine->installation->process->slowness = 1;
        if (machine->feature_level_max == storage::state::kFeatureLevelMax) continue;
        site_.note(Event::kVersionInstalled, machine->name);
        machine->feature_level_max = storage::state::kFeatureLevelMax;
        if (machine->running()) machine->restart(false, core::milliseconds{10});
    }
}

void Story::tend() {
    site_.checker.tick();
    for (const auto& machine : site_.machines) {
        if (ended_ || site_.one_in(4)) administrator_.tend(*machine);
    }
    site_.world.schedule(kTendEvery, [this] { tend(); });
}

void Story::schedule() {
    site_.world.schedule(site_.between(pace_ms_ / 2, pace_ms_ * 2), [this] {
        if (ended_) return;
        strike();
        schedule();
    });
}

void Story::strike() {
    if (administrator_.disaster()) return;
    static constexpr std::array<uint64_t, kKinds> kWeight = {6, 4, 4, 5, 4, 4, 2, 3, 4, 14,
                                                             5, 8, 4, 4, 4, 5, 1, 2, 3};
    uint64_t sum = 0;
    for (size_t i = 0; i < kKinds; ++i) sum += chosen_[i] ? kWeight[i] : 0;
    if (sum == 0) return;
    uint64_t die = site_.below(sum);
    for (size_t i = 0; i < kKinds; ++i) {
        const uint64_t weight = chosen_[i] ? kWeight[i] : 0;
        if (die < weight) return happen(static_cast<Kind>(i));
        die -= weight;
    }
}

Machine& Story::any() {
    return *site_.machines[site_.below(site_.machines.size())];
}

Machine* Story::unused() {
    for (const auto& machine : site_.machines) {
        if (machine->wanted == Wanted::kNothing && !machine->installation && !machine->busy)
            return machine.get();
    }
    return nullptr;
}

void Story::happen(Kind kind) {
    if (kind == Kind::kAdd) {
        Machine* machine = unused();
        if (machine == nullptr) return;
        if (site_.one_in(6)) machine->feature_level_max = 1;
        return administrator_.add(*machine);
    }
    if (kind == Kind::kOutage || kind == Kind::kMajorityLost) {
        if (recoveries_left_ == 0 || !administrator_.lose_majority(kind == Kind::kOutage)) return;
        --recoveries_left_;
        return;
    }
    if (kind == Kind::kLoss) {
        site_.note(Event::kLoss, "");
        site_.network.drop_permille = static_cast<unsigned>(site_.below(200));
        site_.network.double_permille = static_cast<unsigned>(site_.below(100));
        site_.network.delay_permille = static_cast<unsigned>(site_.below(100));
        site_.world.schedule(site_.between(50, 2000), [this] {
            site_.network.drop_permille = site_.network.double_permille = site_.network.delay_permille = 0;
        });
        return;
    }
    if (kind == Kind::kPartition || kind == Kind::kOneWay) return partition(kind == Kind::kOneWay);
    if (kind == Kind::kHandOver) {
        Machine* leader = site_.leader();
        if (leader == nullptr) return;
        site_.note(Event::kLeaderHandedOver, leader->name);
        return leader->node->process().replica().transfer_leadership({}, [](core::Result<void>) {});
    }
    Machine& machine = any();
    if (kind >= Kind::kSuspend) return administer(kind, machine);
    if (!machine.running()) return;
    switch (kind) {
        case Kind::kKill:
            site_.note(Event::kKill, machine.name);
            return machine.restart(false, site_.between(5, 1500));
        case Kind::kPowerFailure:
            site_.note(Event::kPowerFailure, machine.name);
            return machine.restart(true, site_.between(5, 2500));
        case Kind::kPause:
            site_.note(Event::kPause, machine.name);
            return machine.node->process().pause(site_.between(50, 2000));
        case Kind::kClockStep:
            site_.note(Event::kClockStep, machine.name);
            return machine.node->process().clock().step(static_cast<int64_t>(site_.below(20'000)) - 10'000);
        case Kind::kSlowDisk: {
            site_.note(Event::kSlowDisk, machine.name);
            Process* process = machine.installation->process.get();
            process->slowness = 5 + static_cast<double>(site_.below(50));
            site_.world.schedule(site_.between(100, 2000), [process] { process->slowness = 1; });
            return;
        }
        default:
            return;
    }
}

void Story::administer(Kind kind, Machine& machine) {
    const auto row = site_.checker.registry().machines.find(machine.name);
    // An id that was given and taken away before level 2 is not remembered.
    if (kind != Kind::kUpgrade && !site_.checker.joinable()) return;
    const bool member = machine.wanted == Wanted::kMember && !machine.busy && !machine.left_behind &&
                        row != site_.checker.registry().machines.end();
    const auto members =
        std::ranges::count(site_.machines, Wanted::kMember, [](const auto& one) { return one->wanted; });
    switch (kind) {
        case Kind::kSuspend:
            if (machine.wanted == Wanted::kMember && !machine.left_behind &&
                row != site_.checker.registry().machines.end())
                administrator_.suspend(machine);
            return;
        case Kind::kResume:
            if (machine.wanted != Wanted::kSuspended || machine.busy) return;
            machine.wanted = Wanted::kMember;
            site_.note(Event::kMachineResumed, machine.name);
            return administrator_.tend(machine);
        case Kind::kRemove:
            return member && members > 1 ? administrator_.remove(machine) : void();
        case Kind::kRemoveNode:
            return member && machine.installation ? administrator_.remove_node(machine) : void();
        case Kind::kGeneration:
            return member && site_.checker.registry().nodes.contains(machine.id().value) && !old_versions_
                       ? administrator_.raise_generation(machine)
                       : void();
        case Kind::kCopyKeytab:
            if (row != site_.checker.registry().machines.end()) administrator_.copy_keytab(machine);
            return;
        case Kind::kUpgrade:
            if (machine.feature_level_max == storage::state::kFeatureLevelMax || !machine.running()) return;
            site_.note(Event::kVersionInstalled, machine.name);
            machine.feature_level_max = storage::state::kFeatureLevelMax;
            return machine.restart(false, site_.between(5, 300));
        default:
            return;
    }
}

void Story::partition(bool one_way) {
    const auto aside = [this] { return site_.one_in(3); };
    std::vector<std::pair<uint64_t, bool>> sides;
    for (const auto& machine : site_.machines) {
        if (machine->installation) sides.emplace_back(machine->installation->id, aside());
    }
    for (const auto& [one, first] : sides) {
        for (const auto& [other, second] : sides) {
            if (one == other || first == second || (one_way && !first)) continue;
            site_.network.cut(one, other);
        }
    }
    site_.note(one_way ? Event::kOneWayPartition : Event::kPartition, "");
    site_.world.schedule(site_.between(50, 2500), [this] { site_.network.heal(); });
}

}  // namespace smackd::sim::cluster
