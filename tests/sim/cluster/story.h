// What happens in one lifetime: a random choice of kinds of events, at random moments.
#pragma once

#include <array>

#include "tests/sim/cluster/administrator.h"

namespace smackd::sim::cluster {

inline constexpr size_t kMachinesMax = 9;

class Story {
 public:
    Story(Site& site, Administrator& administrator);
    /// Makes the first servers and begins.
    void start();
    /// From here on everything works, and everything is to become as it is wanted.
    void end();
    /// One look of the administrator at all machines.
    void tend();

 private:
    enum class Kind : uint8_t {
        kKill,
        kPowerFailure,
        kPause,
        kPartition,
        kOneWay,
        kLoss,
        kClockStep,
        kSlowDisk,
        kHandOver,
        kAdd,
        kSuspend,
        kResume,
        kRemove,
        kRemoveNode,
        kGeneration,
        kCopyKeytab,
        kOutage,
        kMajorityLost,
        kUpgrade,
    };
    static constexpr size_t kKinds = 19;
    void schedule();
    void strike();
    void happen(Kind kind);
    void administer(Kind kind, Machine& machine);
    void partition(bool one_way);
    Machine& any();
    Machine* unused();

    Site& site_;
    Administrator& administrator_;
    std::array<bool, kKinds> chosen_{};
    int64_t pace_ms_ = 0;
    size_t recoveries_left_ = 0;
    bool old_versions_ = false;
    bool ended_ = false;
};

}  // namespace smackd::sim::cluster
