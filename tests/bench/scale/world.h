// A large cluster for figures: nodes of several kinds and apps with a mix of constraints. One seed, one
// world.
#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"
#include "core/wire/command.pb.h"
#include "services/apps/model.h"

namespace smackd::bench {

struct WorldSize {
    uint32_t nodes = 10'000;
    uint32_t tasks = 100'000;
    uint32_t apps = 3'000;
};

/// The same as rows of the state, from which models and commands are made.
struct World {
    std::vector<wire::PutMachine> machines;
    std::vector<wire::PutNode> nodes;
    std::vector<wire::NodeCapacity> capacities;
    std::vector<wire::AppDefinition> apps;  ///< stamped; their instances add up to WorldSize::tasks
    std::vector<wire::Deployment> deployments;

    static World make(const WorldSize& size, uint64_t seed);
    /// What gossip says: all alive.
    std::vector<services::LiveMember> members() const;
    services::AppsModel model() const;
    /// One command per row, of the system; machines and nodes before the rest.
    std::vector<wire::Command> commands() const;
};

wire::Command system_command();

inline constexpr int64_t kWorldMs = 1'700'000'000'000;  ///< when the apps were put

}  // namespace smackd::bench
