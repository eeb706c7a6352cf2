// Why an app has fewer tasks than wanted, for people: "smackd app explain", /v2/queue.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace smackd::apps {

/// The names of Marathon's queue where it has one.
enum class Reason : uint8_t {
    kUnfulfilledRole,
    kUnfulfilledConstraint,
    kNoMatchingReservation,  ///< "NoCorrespondingReservationFound": the volume is on another node
    kNodeDraining,           ///< "AgentMaintenance"
    kInsufficientCpus,
    kInsufficientMemory,
    kInsufficientDisk,
    kInsufficientGpus,
    kInsufficientPorts,
    kNodeUnreachable,  ///< ours from here on
    kHostNetworkRefused,
};
std::string_view reason_name(Reason reason);

struct NodeReason {
    std::string machine;
    Reason reason = Reason::kUnfulfilledRole;
    std::string text;  ///< "needs 2 cpus, 0.5 of 4 are free"
};

struct WhyNot {
    enum class Kind : uint8_t { kNoPlace, kBackoff, kDeployment, kLimit, kKillPending };
    Kind kind = Kind::kNoPlace;
    uint32_t missing = 0;               ///< tasks still to be launched
    int64_t until_ms = 0;               ///< kBackoff: nothing is launched before; else 0
    std::string text;                   ///< one sentence
    std::vector<NodeReason> nodes;      ///< kNoPlace: the first reason of each node, at most kNodeReasonsMax
    std::map<Reason, uint32_t> counts;  ///< over all nodes
};
inline constexpr size_t kNodeReasonsMax = 100;

}  // namespace smackd::apps
