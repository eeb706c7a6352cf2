#include "core/apps/outage.h"

#include <algorithm>
#include <format>

namespace smackd::apps {

Outage outage_of(const std::vector<Node>& nodes, uint32_t hold_percent) {
    Outage outage;
    outage.nodes = static_cast<uint32_t>(nodes.size());
    int64_t newest_ms = 0;
    for (const Node& node : nodes) {
        if (node.liveness == Liveness::kUnreachable) newest_ms = std::max(newest_ms, node.liveness_since_ms);
    }
    uint32_t suspects = 0;
    for (const Node& node : nodes) {
        suspects += node.liveness == Liveness::kSuspect;
        if (node.liveness != Liveness::kUnreachable) continue;
        if (node.liveness_since_ms < newest_ms - kLostTogetherMs) continue;
        ++outage.unreachable;
        outage.machines.push_back(node.machine);
    }
    std::ranges::sort(outage.machines);
    if (outage.machines.size() > kOutageMachinesMax) outage.machines.resize(kOutageMachinesMax);
    const auto too_many = [&](uint32_t lost) {
        return lost >= kHoldNodesMin && uint64_t{lost} * 100 > uint64_t{outage.nodes} * hold_percent;
    };
    outage.certain = too_many(outage.unreachable);
    outage.holds = outage.unreachable > 0 && too_many(outage.unreachable + suspects);
    return outage;
}

std::string Outage::text() const {
    std::string names;
    for (const std::string& machine : machines) names += (names.empty() ? "" : ", ") + machine;
    if (unreachable > machines.size()) names += ", ...";
    return std::format(
        "{} of {} nodes are unreachable at once ({}): nothing of them is replaced until they are back. "
        "Remove those that will not come back (smackd node remove NODE), or let more be lost "
        "(smackd node hold --percent)",
        unreachable, nodes, names);
}

}  // namespace smackd::apps
