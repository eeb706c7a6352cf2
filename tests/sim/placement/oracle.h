// A naive judge of placement, written from Marathon's documentation of its constraints (docs/marathon.md
// names what differs) and from docs/scheduling.md. It shares no code with core/apps: nothing is counted
// ahead, every question goes over all tasks and all nodes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/apps/node.h"
#include "core/apps/why_not.h"
#include "core/wire/app.pb.h"

namespace smackd::sim::placement {

class Oracle {
 public:
    Oracle(const std::vector<apps::Node>& nodes, const std::vector<wire::Task>& tasks,
           wire::AppDefinition app);

    /// A task of the app on a node, as apps::Constraints is told of it.
    void add_own(uint64_t node, bool stays);
    /// Why the node cannot take another task of the app, by the first rule that forbids it; nothing when it
    /// can.
    std::optional<apps::Reason> refusal(const apps::Node& node) const;
    std::vector<const apps::Node*> feasible(uint64_t only) const;
    /// What is wrong with this answer; empty: nothing. `node` is 0 for "no place". Then it is taken as done.
    std::string judge(uint64_t node, const std::string& role, const std::vector<uint32_t>& ports,
                      uint64_t only);

 private:
    struct Own {
        const apps::Node* node;
        bool stays;
    };
    struct Used {
        uint64_t cpus = 0;
        uint64_t memory = 0;
        uint64_t disk = 0;
        uint64_t gpus = 0;
        std::set<uint32_t> ports;
    };
    const apps::Node* find(uint64_t id) const;
    bool fulfils(const apps::Node& node, const wire::Constraint& constraint) const;
    std::vector<std::string> values(const std::string& field, bool staying_only) const;
    bool has_ports(const apps::Node& node) const;
    std::string wrong_ports(const apps::Node& node, const std::vector<uint32_t>& ports) const;
    std::string better_than(const apps::Node& chosen, const std::vector<const apps::Node*>& others) const;
    uint64_t balance(const apps::Node& node) const;
    uint64_t own_on(const apps::Node& node) const;
    double load(const apps::Node& node) const;
    std::optional<uint32_t> wanted_port(const wire::Port& port) const;

    const std::vector<apps::Node>& nodes_;
    wire::AppDefinition app_;
    std::map<uint64_t, Used> used_;
    std::vector<Own> own_;
};

}  // namespace smackd::sim::placement
