// What happened in the lifetimes, by kind; a run that never had one of them proves little.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace smackd::sim::cluster {

enum class Event : uint8_t {
    // what strikes
    kKill,
    kPowerFailure,
    kPause,
    kPartition,
    kOneWayPartition,
    kLoss,
    kClockStep,
    kSlowDisk,
    kOutage,
    kMajorityLost,
    // what administrators do
    kMachineAdded,
    kMachineSuspended,
    kMachineResumed,
    kMachineRemoved,
    kNodeRemoved,
    kGenerationRaised,
    kMachineEmptied,
    kLeaderHandedOver,
    kRecovered,
    kLeftBehindReturned,
    kVersionInstalled,
    kLevelRaised,
    // machines that join
    kJoinAsked,
    kJoined,
    kJoinedAgain,
    kJoinRaced,
    kJoinUnanswered,
    kKeytabCopied,
    kThiefAdmitted,
    kRefusedNotRegistered,
    kRefusedSuspended,
    kRefusedJoinedAlready,
    kRefusedRemoved,
    kRefusedOlderEpoch,
    kRefusedFeatureLevel,
    kRefusedByApply,
    // who speaks with whom
    kCallerRefusedByRegistry,
    kCallerRefusedByConfiguration,
    kNewcomerHeard,
    kRegistryTold,
    kConnectionsCut,
    // Raft
    kLeadership,
    kStandbyAdded,
    kVoterMade,
    kVoterDemoted,
    kVoterReplaced,
    kVoterMoved,
    kSpareFilled,
    kServerRemoved,
    kRefusedLeaderHandsOver,
    kChangeFailed,
    kStoppedByNewerLevel,
    // writes
    kWritten,
    kUnknownOutcome,
    kWrittenToLeftBehind,
    kLostByRecover,
};
inline constexpr size_t kEvents = static_cast<size_t>(Event::kLostByRecover) + 1;

const char* event_name(Event event);

struct Counts {
    std::array<uint64_t, kEvents> of{};

    void add(Event event, uint64_t count = 1) { of[static_cast<size_t>(event)] += count; }
    void add(const Counts& other) {
        for (size_t i = 0; i < kEvents; ++i) of[i] += other.of[i];
    }
};

}  // namespace smackd::sim::cluster
