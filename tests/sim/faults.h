// Does to a cluster what the world does: a random subset of the kinds of faults, at random moments.
#pragma once

#include <array>
#include <string>

#include "tests/sim/client.h"

namespace smackd::sim {

enum class Fault : uint8_t {
    kPowerFailure,
    kPowerFailureInWrite,
    kKill,
    kPartition,
    kOneWay,
    kLoss,
    kPause,
    kClockStep,
    kFullDisk,
    kSlowDisk,
    kBitFlip,
    kTransfer,
    kMembership,
    kOldVersion,
};
inline constexpr size_t kFaults = 14;
const char* fault_name(Fault fault);

class Faults {
 public:
    Faults(World& world, Network& network, Processes& processes, Checker& checker);

    /// Chooses the kinds of this lifetime and begins. `base` picks software versions as well.
    void start();
    /// No more faults; everything works again from here on.
    void heal();
    bool has(Fault fault) const { return chosen_[static_cast<size_t>(fault)]; }
    const std::array<uint64_t, kFaults>& counts() const { return counts_; }
    void boot(Process& process);
    /// After each event of a process: a disk that stopped takes the server down.
    void check(Process& process);

 private:
    void schedule();
    void strike();
    void apply(Fault fault);
    void take_down(Process& process, bool power, core::Duration back_after);
    void partition(bool one_way);
    void flip();
    void watch_recovery(Process& process);
    void change_membership();
    void note(Fault fault, const std::string& what);
    Process& any();
    Process* any_up();
    bool all_whole();
    core::Duration between(int64_t low_ms, int64_t high_ms);

    World& world_;
    Network& network_;
    Processes& processes_;
    Checker& checker_;
    std::array<bool, kFaults> chosen_{};
    std::array<uint64_t, kFaults> counts_{};
    bool healed_ = false;
    int64_t pace_ms_ = 200;
};

}  // namespace smackd::sim
