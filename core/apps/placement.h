// Which node takes the next task, and with which ports.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
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

/// What an app asks of a node, its constraints aside.
struct Demand {
    explicit Demand(const wire::AppDefinition& app);

    const wire::AppDefinition& app;
    uint64_t cpus_milli;
    uint64_t memory_bytes;
    uint64_t disk_bytes;
    uint32_t gpus;
    uint32_t any_ports = 0;             ///< that may be any
    std::vector<uint32_t> fixed_ports;  ///< asked for by number, each once
    bool host_network;
};

/// The nodes and what is used on them. Tasks are spread: first over the groups of GROUP_BY, then over the
/// nodes with the fewest tasks of the app, then to the one that is the least loaded; equal ones by id.
///
/// Nodes are kept as rows of numbers, and the values of fields that constraints name as numbers, too: what is
/// asked of each node for each app reads no text.
class Placement {
 public:
    class Series;

    Placement() = default;
    /// `nodes` outlive this. Tasks that have ended use nothing.
    Placement(std::span<const Node> nodes, std::span<const wire::Task* const> tasks);

    /// A new node without tasks, or one that has changed; it outlives this.
    void put_node(const Node& node);
    void remove_node(core::NodeId id);
    /// What is used on a node, anew: by these tasks. True when something of it has become free.
    bool recount(core::NodeId id, std::span<const wire::Task* const> tasks);
    /// Nodes that were placed on since the last call.
    std::vector<core::NodeId> take_touched();

    /// Whether the node has what is asked for, whatever the constraints say.
    bool has_room(core::NodeId id, const Demand& demand) const;
    /// Why none fits: the first reason of each node. `only`: no other node will do (its volumes are there).
    WhyNot explain(const wire::AppDefinition& app, const Constraints& constraints,
                   core::NodeId only = {}) const;

    /// Null when there is no such node.
    const Node* find(core::NodeId id) const;

 private:
    /// One node in numbers.
    struct Slot {
        const Node* node = nullptr;  ///< null: removed, to be used again
        uint64_t cpus = 0;
        uint64_t cpus_used = 0;
        uint64_t memory = 0;
        uint64_t memory_used = 0;
        uint64_t disk = 0;
        uint64_t disk_used = 0;
        uint32_t gpus = 0;
        uint32_t gpus_used = 0;
        uint32_t free_ports = 0;  ///< of those that may be any
        uint32_t roles = 0;       ///< index into roles_
        bool open = false;        ///< answers and is not drained
        bool host_network = false;
    };
    using Ports = std::vector<uint32_t>;  ///< sorted
    /// The values of one field: 0 where a node has none, else an index into `values` plus 1.
    struct Column {
        std::vector<uint32_t> of_slot;
        std::vector<std::string> values;
        std::unordered_map<std::string, uint32_t> numbers;
    };
    struct Refusal {
        Reason reason;
        std::string text;
    };

    const Column& column(const std::string& field);
    static void set_value(Column& column, const std::string& field, size_t index, const Node* node);
    uint32_t roles_number(const std::vector<std::string>& roles);
    static void use(Slot& slot, Ports& ports, const wire::Task& task);
    static bool take_port(Slot& slot, Ports& ports, uint32_t port);
    static std::vector<uint32_t> take_ports(Slot& slot, Ports& used, const wire::AppDefinition& app,
                                            core::Random& random);
    Place take(size_t index, const Demand& demand, core::Random& random);

    bool has_resources(const Slot& slot, const Demand& demand) const;
    bool has_ports(const Slot& slot, const Ports& used, const Demand& demand) const;
    /// Nobody reads why of most nodes: without `text` it stays empty.
    std::optional<Refusal> refusal(size_t index, const Demand& demand, const Constraints& constraints,
                                   bool text) const;
    static std::optional<Refusal> lack(const Slot& slot, const Demand& demand, bool text);
    static std::optional<Refusal> lack_of_ports(const Slot& slot, const Ports& used, const Demand& demand,
                                                bool text);

    std::vector<Slot> slots_;
    std::vector<Ports> ports_;  ///< in use, by slot
    std::vector<size_t> free_slots_;
    std::unordered_map<core::NodeId, size_t> index_;
    std::vector<std::vector<std::string>> roles_;  ///< the different lists of roles there are
    std::map<std::string, Column> columns_;        ///< of the fields that were asked for
    std::vector<core::NodeId> touched_;
};

/// One task after the other of one app: all nodes are looked at once, after that only those that are next.
/// While it lives nobody else places anything, and the app stays as it is.
///
/// That is exact because within a series a node's rank only gets worse and a node that does not fit never
/// fits again: each group of nodes is a heap by rank, and so are the groups; what has got worse since it was
/// put there is put there again.
class Placement::Series {
 public:
    Series(Placement& placement, const wire::AppDefinition& app, Constraints& constraints);

    /// The best node for one more task, now counted as used there and added to the constraints; nothing when
    /// none fits. `only`: no other node will do (its volumes are there).
    std::optional<Place> place(core::Random& random, core::NodeId only = {});

 private:
    /// A constraint whose answer depends on what is placed, or whose values are to be looked up.
    struct Watch {
        wire::Constraint::Operator op = wire::Constraint::UNKNOWN;
        bool fixed = false;
        bool without_value = false;  ///< fixed: nodes without one fit
        uint32_t number = 0;
        const std::vector<uint32_t>* of_slot = nullptr;
        std::vector<bool> fits;         ///< fixed: by value
        std::vector<uint32_t> placed;   ///< by value
        std::vector<uint32_t> staying;  ///< by value
        uint32_t values_placed = 0;     ///< different ones
        uint32_t values_staying = 0;
        bool allows(size_t index) const;
        void add(size_t index);
    };
    /// Fewest tasks of the app, then the least loaded, then by id.
    struct Candidate {
        uint32_t tasks = 0;
        uint64_t load = 0;
        core::NodeId id;
        size_t index = 0;
        auto operator<=>(const Candidate&) const = default;
    };
    /// The nodes with the same values of all GROUP_BY fields.
    struct Group {
        std::vector<uint32_t> values;       ///< one per GROUP_BY
        std::vector<Candidate> candidates;  ///< a heap, the best on top
    };
    struct GroupRank {
        uint64_t load = 0;  ///< tasks that stay in its groups
        Candidate best;
        size_t group = 0;
        auto operator<=>(const GroupRank&) const = default;
    };

    Watch watch(const ConstraintRule& rule) const;
    using Levels = std::vector<std::unordered_map<uint64_t, size_t>>;
    size_t group_of(size_t index, Levels& levels);
    bool fits(size_t index) const;
    bool allowed(size_t index) const;
    Candidate candidate(size_t index) const;
    std::optional<GroupRank> rank(size_t group);
    std::optional<size_t> best();
    Place take(size_t index, core::Random& random);

    Placement& placement_;
    Demand demand_;
    Constraints& constraints_;
    std::vector<bool> roles_fit_;  ///< by number of the node's roles
    std::vector<Watch> watches_;
    std::vector<size_t> balanced_;  ///< those of watches_ that are GROUP_BY
    std::vector<Group> groups_;
    std::vector<GroupRank> ranks_;                ///< a heap of groups, the best on top
    std::unordered_map<size_t, uint32_t> tasks_;  ///< of the app, by slot
};

/// Whether tasks of the app may use resources of that role: all that it lists, else "*" and its own.
bool accepts_role(const wire::AppDefinition& app, std::string_view role);

/// The host port the app asks for at this port: a number, 0 for any, nothing for none.
std::optional<uint32_t> wanted_host_port(const wire::AppDefinition& app, const wire::Port& port);

}  // namespace smackd::apps
