// Which node takes the next task, and with which ports.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/apps/constraints.h"
#include "core/apps/node.h"
#include "core/apps/why_not.h"
#include "core/random.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// A place that was found and taken.
struct Place {
    const Node* node = nullptr;
    std::string role;                  ///< "*" or one of the app's accepted roles
    std::vector<uint32_t> host_ports;  ///< one per port of the app; 0: not published
};

/// The nodes and what is used on them. Tasks are spread: first over the groups of GROUP_BY, then over the
/// nodes with the fewest tasks of the app, then to the one that is the least loaded; equal ones by id.
class Placement {
 public:
    /// `nodes` outlive this. Tasks that have ended use nothing.
    Placement(std::span<const Node> nodes, std::span<const wire::Task* const> tasks);

    /// The best node for one more task of `app`, now counted as used there; nothing when none fits. `only`:
    /// no other node will do (its volumes are there).
    std::optional<Place> place(const wire::AppDefinition& app, const Constraints& constraints,
                               core::Random& random, core::NodeId only = {});
    /// Why none fits: the first reason of each node.
    WhyNot explain(const wire::AppDefinition& app, const Constraints& constraints,
                   core::NodeId only = {}) const;

    const Node* find(core::NodeId id) const;
    std::span<const Node> nodes() const { return nodes_; }

 private:
    struct Usage {
        wire::Resources resources;
        std::set<uint32_t> ports;
        std::map<std::string, uint32_t> tasks;  ///< by app
    };
    struct Refusal {
        Reason reason;
        std::string text;
    };
    std::optional<Refusal> refusal(const Node& node, const Usage& usage, const wire::AppDefinition& app,
                                   const Constraints& constraints) const;
    static void use(Usage& usage, const wire::Task& task);
    static std::vector<uint32_t> take_ports(const Node& node, Usage& usage, const wire::AppDefinition& app,
                                            core::Random& random);

    std::span<const Node> nodes_;
    std::vector<Usage> usage_;
    std::map<core::NodeId, size_t> index_;
};

/// The host port the app asks for at this port: a number, 0 for any, nothing for none.
std::optional<uint32_t> wanted_host_port(const wire::AppDefinition& app, const wire::Port& port);

}  // namespace smackd::apps
