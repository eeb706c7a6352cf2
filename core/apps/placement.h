// Which node takes the next task, and with which ports.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
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
    /// The same for one task after the other of one app: all nodes are looked at once, after that only what
    /// was placed counts. While it lives nobody else places anything, and the app stays as it is.
    class Series {
     public:
        Series(Placement& placement, const wire::AppDefinition& app, const Constraints& constraints);
        std::optional<Place> place(core::Random& random, core::NodeId only = {});

     private:
        Placement& placement_;
        const wire::AppDefinition& app_;
        const Constraints& constraints_;
        std::set<std::tuple<uint64_t, uint32_t, uint64_t, core::NodeId>> ranks_;  // without constraints only
    };
    /// Why none fits: the first reason of each node.
    WhyNot explain(const wire::AppDefinition& app, const Constraints& constraints,
                   core::NodeId only = {}) const;

    const Node* find(core::NodeId id) const;
    std::span<const Node> nodes() const { return nodes_; }

 private:
    struct Usage {
        wire::Resources resources;
        std::set<uint32_t> ports;
        uint32_t pool_ports = 0;                ///< of `ports`, those that may be any
        std::map<std::string, uint32_t> tasks;  ///< by app
    };
    struct Refusal {
        Reason reason;
        std::string text;
    };
    /// Best first: groups, tasks of the app, load, id.
    using Rank = std::tuple<uint64_t, uint32_t, uint64_t, core::NodeId>;
    /// Nothing when the node does not fit.
    std::optional<Rank> rank(size_t index, const wire::AppDefinition& app,
                             const Constraints& constraints) const;
    Place take(size_t index, const wire::AppDefinition& app, core::Random& random);
    /// Nobody reads why of most nodes: without `text` it stays empty.
    static std::optional<Refusal> refusal(const Node& node, const Usage& usage,
                                          const wire::AppDefinition& app, const Constraints& constraints,
                                          bool text);
    static std::optional<Refusal> lack(const Node& node, const Usage& usage, const wire::AppDefinition& app,
                                       bool text);
    static std::optional<Refusal> lack_of_ports(const Node& node, const Usage& usage,
                                                const wire::AppDefinition& app, bool text);
    static void use(const Node& node, Usage& usage, const wire::Task& task);
    static bool take_port(const Node& node, Usage& usage, uint32_t port);
    static std::vector<uint32_t> take_ports(const Node& node, Usage& usage, const wire::AppDefinition& app,
                                            core::Random& random);

    std::span<const Node> nodes_;
    std::vector<Usage> usage_;
    std::map<core::NodeId, size_t> index_;
};

/// The host port the app asks for at this port: a number, 0 for any, nothing for none.
std::optional<uint32_t> wanted_host_port(const wire::AppDefinition& app, const wire::Port& port);

}  // namespace smackd::apps
