#include "tests/sim/faults.h"

#include <algorithm>
#include <format>

namespace smackd::sim {

const char* fault_name(Fault fault) {
    switch (fault) {
        case Fault::kPowerFailure:
            return "power_failure";
        case Fault::kPowerFailureInWrite:
            return "power_failure_in_write";
        case Fault::kKill:
            return "kill";
        case Fault::kPartition:
            return "partition";
        case Fault::kOneWay:
            return "one_way_partition";
        case Fault::kLoss:
            return "loss_delay_double";
        case Fault::kPause:
            return "pause";
        case Fault::kClockStep:
            return "clock_step";
        case Fault::kFullDisk:
            return "full_disk";
        case Fault::kSlowDisk:
            return "slow_disk";
        case Fault::kBitFlip:
            return "bit_flip";
        case Fault::kTransfer:
            return "leadership_transfer";
        case Fault::kMembership:
            return "membership_change";
        case Fault::kOldVersion:
            return "old_version";
    }
    return "?";
}

Faults::Faults(World& world, Network& network, Processes& processes, Checker& checker)
    : world_(world), network_(network), processes_(processes), checker_(checker) {
    for (bool& chosen : chosen_) chosen = world_.random().below(100) < 45;
    pace_ms_ = static_cast<int64_t>(60 + world_.random().below(400));
}

core::Duration Faults::between(int64_t low_ms, int64_t high_ms) {
    return core::milliseconds{
        low_ms + static_cast<int64_t>(world_.random().below(static_cast<uint64_t>(high_ms - low_ms + 1)))};
}

void Faults::start() {
    if (processes_.size() == 1) {
        // Alone, damage is refused (the unit tests show it) and an old version cannot hand over.
        for (const Fault fault : {Fault::kBitFlip, Fault::kOldVersion, Fault::kMembership}) {
            chosen_[static_cast<size_t>(fault)] = false;
        }
    }
    if (has(Fault::kOldVersion)) {
        Process& old = any();
        old.options().feature_level_max = 1;
        note(Fault::kOldVersion, std::format("n{}", old.id()));
    }
    schedule();
}

void Faults::schedule() {
    world_.schedule(between(pace_ms_ / 2, pace_ms_ * 2), [this] {
        if (healed_) return;
        strike();
        schedule();
    });
}

void Faults::strike() {
    std::vector<Fault> kinds;
    for (size_t i = 0; i < kFaults; ++i) {
        if (chosen_[i] && static_cast<Fault>(i) != Fault::kOldVersion) kinds.push_back(static_cast<Fault>(i));
    }
    if (!kinds.empty()) apply(kinds[world_.random().below(kinds.size())]);
}

Process& Faults::any() {
    auto at = processes_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(world_.random().below(processes_.size())));
    return *at->second;
}

Process* Faults::any_up() {
    Process& process = any();
    return process.up() ? &process : nullptr;
}

void Faults::note(Fault fault, const std::string& what) {
    ++counts_[static_cast<size_t>(fault)];
    world_.trace(std::format("{} {}", fault_name(fault), what));
}

void Faults::apply(Fault fault) {
    Process* process = any_up();
    if (process == nullptr) return;
    const std::string name = std::format("n{}", process->id());
    switch (fault) {
        case Fault::kPowerFailure:
            note(fault, name);
            return take_down(*process, true, between(5, 1500));
        case Fault::kPowerFailureInWrite:
            note(fault, name);
            process->disk().stop_after(world_.random().below(12));
            return;
        case Fault::kKill:
            note(fault, name);
            return take_down(*process, false, between(5, 800));
        case Fault::kPartition:
            return partition(false);
        case Fault::kOneWay:
            return partition(true);
        case Fault::kLoss:
            note(fault, "");
            network_.drop_permille = static_cast<unsigned>(world_.random().below(200));
            network_.double_permille = static_cast<unsigned>(world_.random().below(100));
            network_.delay_permille = static_cast<unsigned>(world_.random().below(100));
            world_.schedule(between(50, 2000), [this] {
                network_.drop_permille = network_.double_permille = network_.delay_permille = 0;
            });
            return;
        case Fault::kPause:
            note(fault, name);
            return process->pause(between(50, 2500));
        case Fault::kClockStep:
            note(fault, name);
            return process->clock().step(static_cast<int64_t>(world_.random().below(20'000)) - 10'000);
        case Fault::kFullDisk:
            note(fault, name);
            process->disk().set_capacity(process->disk().used() + world_.random().below(40'000));
            world_.schedule(between(100, 3000), [process] { process->disk().set_capacity(0); });
            return;
        case Fault::kSlowDisk:
            note(fault, name);
            process->slowness = 5 + static_cast<double>(world_.random().below(200));
            world_.schedule(between(100, 2000), [process] { process->slowness = 1; });
            return;
        case Fault::kBitFlip:
            return flip();
        case Fault::kTransfer:
            if (process->replica().status().role != storage::ReplicaRole::kLeader) return;
            note(fault, name);
            return process->replica().transfer_leadership({}, [](core::Result<void>) {});
        case Fault::kMembership:
            return change_membership();
        case Fault::kOldVersion:
            return;
    }
}

void Faults::take_down(Process& process, bool power, core::Duration back_after) {
    checker_.forget_life(process);
    process.crash(power);
    if (!power) network_.lose(process.id());  // a machine without power resets nothing
    world_.trace(std::format("n{} is down", process.id()));
    world_.schedule(back_after, [this, &process] {
        if (!process.up()) boot(process);
    });
}

void Faults::boot(Process& process) {
    auto booted = process.boot();
    if (booted) {
        world_.trace(std::format("n{} is up", process.id()));
        process.replica().set_observer(
            [this, &process](const storage::ReplicaStatus& status) { checker_.observe(process, status); });
        checker_.look(process);
        if (process.flipped) watch_recovery(process);
        return;
    }
    world_.trace(std::format("n{} does not start: {}", process.id(), booted.error().to_string()));
    const bool waits = booted.error().code == core::Errc::kDiskFull || booted.error().code == core::Errc::kIo;
    if (waits) {
        world_.schedule(core::milliseconds{300}, [this, &process] {
            if (!process.up()) boot(process);
        });
        return;
    }
    if (booted.error().code == core::Errc::kUnsupported) {
        process.options().feature_level_max = storage::state::kFeatureLevelMax;  // upgraded
        world_.schedule(core::milliseconds{300}, [this, &process] {
            if (!process.up()) boot(process);
        });
        return;
    }
    world_.violate(std::format("n{} does not start: {}", process.id(), booted.error().to_string()));
}

/// A server with a flipped bit counts as whole again when it has been up for a while, caught up and without
/// alarms.
void Faults::watch_recovery(Process& process) {
    const uint64_t life = process.lives();
    world_.schedule(core::milliseconds{400}, [this, &process, life] {
        if (!process.flipped || !process.up() || process.lives() != life) return;
        const storage::ReplicaStatus status = process.replica().status();
        const bool whole =
            status.alarms.empty() && status.applied_index == status.commit_index && status.leader.value != 0;
        if (!whole) return watch_recovery(process);
        process.flipped = false;
        world_.trace(std::format("n{} is whole", process.id()));
    });
}

void Faults::check(Process& process) {
    if (!process.up() || !process.disk().stopped()) return;
    world_.schedule(core::Duration{0}, [this, &process] {
        if (process.up() && process.disk().stopped()) take_down(process, true, between(5, 1500));
    });
}

void Faults::partition(bool one_way) {
    const uint64_t minority = any().id();
    for (const auto& [id, process] : processes_) {
        const bool alone = id == minority || (processes_.size() > 3 && world_.random().one_in(4));
        for (const auto& [other, unused] : processes_) {
            const bool apart = other != id && alone != (other == minority);
            if (!apart) continue;
            network_.cut(id, other);
            if (!one_way) network_.cut(other, id);
        }
    }
    note(one_way ? Fault::kOneWay : Fault::kPartition, std::format("n{} among others", minority));
    world_.schedule(between(50, 3000), [this] { network_.heal(); });
}

bool Faults::all_whole() {
    return std::ranges::all_of(
        processes_, [](const auto& entry) { return entry.second->up() && !entry.second->flipped; });
}

/// One damaged disk at a time: what two of three have lost nobody can bring back.
void Faults::flip() {
    if (!all_whole()) return;
    Process& process = any();
    static constexpr std::array<std::string_view, 5> kParts = {"/raft/log/", "/raft/log/", "/raft/meta",
                                                               "/raft/snapshots/", "/state/"};
    const std::string_view part = kParts[world_.random().below(kParts.size())];
    process.flipped = true;
    take_down(process, world_.random().one_in(2), between(5, 500));
    const std::string where = process.disk().flip_bit(part);
    if (!where.empty()) note(Fault::kBitFlip, std::format("n{} {}", process.id(), where));
}

/// A voter becomes a standby for a while, then a voter again.
void Faults::change_membership() {
    for (auto& [id, process] : processes_) {
        if (!process->up()) continue;
        const storage::ReplicaStatus status = process->replica().status();
        if (status.role != storage::ReplicaRole::kLeader) continue;
        for (const storage::Server& server : status.servers) {
            if (server.role == storage::ServerRole::kVoter) continue;
            note(Fault::kMembership, std::format("n{} becomes a voter", server.id.value));
            return process->replica().assign_role(server.id, storage::ServerRole::kVoter,
                                                  [](core::Result<void>) {});
        }
        const uint64_t whom = any().id();
        // Fewer voters make a damaged disk more than a minority.
        if (whom == id || has(Fault::kBitFlip)) return;
        note(Fault::kMembership, std::format("n{} becomes a standby", whom));
        return process->replica().assign_role({whom}, storage::ServerRole::kStandby,
                                              [](core::Result<void>) {});
    }
}

void Faults::heal() {
    healed_ = true;
    world_.trace("everything is healed");
    network_.heal();
    network_.drop_permille = network_.double_permille = network_.delay_permille = 0;
    for (auto& [id, process] : processes_) {
        process->disk().set_capacity(0);
        process->slowness = 1;
        const bool old = process->options().feature_level_max < storage::state::kFeatureLevelMax;
        process->options().feature_level_max = storage::state::kFeatureLevelMax;
        if (process->up() && !process->disk().stopped()) process->pause({});
        if (process->up() && old) take_down(*process, false, core::milliseconds{10});
        if (!process->up()) boot(*process);
    }
}

}  // namespace smackd::sim
