#include "tests/sim/cluster/site.h"

#include <algorithm>

#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/node.h"

namespace smackd::sim::cluster {

Site::Site(uint64_t seed) : world(seed), network(world), checker(*this), mesh(*this) {
    mesh.attach();
}

Site::~Site() = default;

core::Duration Site::between(int64_t low_ms, int64_t high_ms) {
    const auto span = static_cast<uint64_t>((high_ms - low_ms) * 1000 + 1);
    return core::milliseconds{low_ms} + core::Duration{static_cast<int64_t>(below(span)) * 1000};
}

core::Duration Site::hop() {
    return core::Duration{static_cast<int64_t>(100'000 + below(400'000))};
}

Machine* Site::running(uint64_t node) {
    Machine* machine = installed(node);
    return machine != nullptr && machine->running() ? machine : nullptr;
}

Machine* Site::installed(uint64_t node) {
    const auto found = std::ranges::find_if(
        machines, [&](const auto& one) { return one->installation && one->installation->id == node; });
    return found == machines.end() ? nullptr : found->get();
}

Machine* Site::at(const std::string& address) {
    const auto found = std::ranges::find(machines, address, [](const auto& one) { return one->address; });
    return found == machines.end() ? nullptr : found->get();
}

Machine* Site::any_running() {
    std::vector<Machine*> up;
    for (const auto& machine : machines) {
        if (machine->running()) up.push_back(machine.get());
    }
    return up.empty() ? nullptr : up[below(up.size())];
}

Machine* Site::leader() {
    Machine* best = nullptr;
    storage::ReplicaStatus of_best;
    for (const auto& machine : machines) {
        if (!machine->running()) continue;
        storage::ReplicaStatus status = machine->node->status();
        if (!status.may_plan) continue;
        const bool newer = best == nullptr || std::pair(status.recoveries, status.term.value) >
                                                  std::pair(of_best.recoveries, of_best.term.value);
        if (!newer) continue;
        best = machine.get();
        of_best = std::move(status);
    }
    return best;
}

void Site::note(Event event, const std::string& what) {
    counts.add(event);
    world.trace(std::string(event_name(event)) + " " + what);
}

}  // namespace smackd::sim::cluster
