// decide(), kept warm: the same decisions, at the cost of what has changed.
//
// A planner holds what decide() would build from a view: tasks by app and node, what is used where. It is
// told of each row that has changed, and its step leaves out apps (and deployments) whose last look found
// nothing to do and of which nothing has changed since: no row of theirs, none of their nodes, no point in
// time that they wait for, and, when they wait for a place, nothing has become free that they would fit into.
// Leaving them out changes no action, because a look without a result takes nothing from what the others
// share (launches, kills, places, randomness). So for the same rows, in any state of memory, the actions are
// those of decide(); a test holds the two beside each other.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/apps/app_plan.h"
#include "core/apps/placement.h"
#include "core/apps/plan.h"

namespace smackd::apps {

/// Rows are borrowed: each stays where it is until it is put again or removed, and is put after each change.
/// Removing what is not there does no harm.
class Planner {
 public:
    explicit Planner(Parameters parameters) : parameters_(parameters) {}

    void put_app(const wire::AppDefinition& app);
    void remove_app(const std::string& id);
    void put_backoff(const wire::AppBackoff& backoff);
    void remove_backoff(const std::string& app_id);
    void put_task(const wire::Task& task);
    void remove_task(const std::string& id);
    void put_deployment(const wire::Deployment& deployment);
    void remove_deployment(const std::string& id);
    /// Also when its drain begins or ends by time.
    void put_node(const Node& node);
    void remove_node(core::NodeId id);
    void set_hold_percent(uint32_t percent);
    void set_leases_over(std::set<std::string> over) { leases_over_ = std::move(over); }

    /// Tasks with a lease whose node is noted as unreachable: what a LeaseWatch looks at.
    std::vector<const wire::Task*> leased_unreachable() const;

    /// The next step. `explain`: Decision::waiting says why, node by node, of all apps that wait; else it has
    /// only those that were looked at, without reasons.
    Decision decide(int64_t now_ms, core::Random& random, bool explain = false);

 private:
    struct App;
    struct TaskEntry {
        std::string id;
        const wire::Task* row = nullptr;
        App* app = nullptr;
        uint64_t node = 0;
    };
    struct Active {
        std::vector<const wire::Task*> active;  ///< have not ended and are not gone with their node; by id
        std::vector<const wire::Task*> ended;   ///< by id
    };
    struct DeploymentEntry {
        const std::string* id = nullptr;
        const wire::Deployment* row = nullptr;
        std::vector<App*> apps;
        std::unique_ptr<wire::Deployment> advanced;  ///< with its step, where that is ahead of the row
        bool due = true;
        bool looked = false;  ///< at least once, and then this was found:
        uint32_t step = 0;
        bool runs = false;  ///< neither failed nor about to
        int64_t wake_ms = 0;
    };
    /// An app, or tasks left of one that was removed.
    struct App {
        const std::string* id = nullptr;
        const wire::AppDefinition* definition = nullptr;
        const wire::AppBackoff* backoff = nullptr;
        std::vector<TaskEntry*> tasks;              ///< by id
        std::vector<DeploymentEntry*> deployments;  ///< that affect it
        bool has_role = false;
        AppRole role;  ///< in a running deployment
        bool due = true;
        bool in_step = false;
        bool timed = false;        ///< some of its tasks are on unreachable nodes: time alone may change them
        bool stuck = false;        ///< some had no place
        size_t freed_seen = 0;     ///< stuck: how much of freed_ it knows
        int64_t wake_ms = 0;       ///< 0: no need
        Active now;                ///< of this step
        wire::AppBackoff counted;  ///< the back-off with what this step has counted
    };
    struct NodeEntry {
        const Node* node = nullptr;
        std::vector<TaskEntry*> tasks;
        bool recount = false;
    };

    App& app(const std::string& id);
    void drop_if_empty(App& app);
    void detach(TaskEntry& entry);
    void note_node(uint64_t id, NodeEntry& entry, const Node* node);
    void recount_nodes();
    void touch(uint64_t node);

    void look_at_nodes();
    uint32_t replacements_left(int64_t now_ms);
    void give_up_lost(const App& app, const wire::AppDefinition& definition);
    void find_due();
    void begin(App& app);
    void plan_apps();
    bool fits_into_freed(App& app) const;
    std::vector<const wire::Task*> active_of(const App& app) const;
    void note_unreachable(App& app);
    bool note_one(const wire::Task& task, const Node* node);
    void look_at_deployment(DeploymentEntry& entry);
    bool end_or_go_on(const DeploymentEntry& entry, uint32_t step);
    void find_role(App& app);
    void clear_removed(const Active& tasks);
    void plan_app(App& app);
    AppTarget target_of(const App& app) const;
    const wire::AppBackoff* count_ends(App& app);
    void forget_ended(const wire::AppDefinition* app, std::vector<const wire::Task*> ended);
    int64_t next_ms() const;

    /// One look at an app or a deployment: whether it acted, and when it is to be asked again.
    template <class Work>
    void look(bool& due, int64_t& wake_ms, Work work);

    Parameters parameters_;
    std::map<std::string, App> apps_;
    std::map<std::string, DeploymentEntry> deployments_;
    std::unordered_map<std::string, TaskEntry> tasks_;
    std::unordered_map<uint64_t, NodeEntry> nodes_;
    uint32_t nodes_known_ = 0;
    std::set<uint64_t> silent_;  ///< nodes that do not answer, or are suspected of it
    Outage outage_;
    bool outage_stale_ = true;
    std::map<std::string, int64_t> replacing_;  ///< tasks that replace lost ones, and when they were staged
    std::set<uint64_t> drains_timed_;           ///< nodes whose drain will change by itself
    std::set<std::string> leased_unreachable_;
    std::set<std::string> leases_over_;
    Placement placement_;
    std::vector<uint64_t> to_recount_;
    std::vector<core::NodeId> freed_;  ///< nodes of which something has become free, one after the other
    bool held_ = false;                ///< replacement, in the last step
    int64_t last_ms_ = 0;              ///< of the last step

    // Of the step that is being made.
    Decision decision_;
    std::unique_ptr<Round> round_;
};

}  // namespace smackd::apps
