// The decisions about one app: replace, scale, launch, kill.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/apps/deployment.h"
#include "core/apps/placement.h"
#include "core/apps/plan.h"

namespace smackd::apps {

/// While replacements are limited, they are looked at again after so long.
inline constexpr int64_t kRateLookMs = 100;

/// What all apps of one decide() share.
struct Round {
    const Parameters& parameters;
    int64_t now_ms;
    core::Random& random;
    Placement& placement;
    const std::set<std::string>& leases_over;
    Decision& decision;
    bool explain = true;            ///< say of each node why nothing fits there
    bool hold_replacement = false;  ///< too many nodes are unreachable at once
    uint32_t launches = 0;          ///< still allowed
    uint32_t replacements = 0;      ///< of those, for tasks on unreachable nodes
    uint32_t expunges = 0;          ///< rows of tasks on unreachable nodes that may go
    uint32_t kills = 0;             ///< still allowed

    /// To be asked again at this time, if not before.
    void wake_at(int64_t time_ms);
    /// False when as many have been killed as one round may: it is asked again at once.
    bool kill(const wire::Task& task, const wire::AppDefinition* app, KillTask::Why why);
};

/// Tasks that another task may take the place of although they may still run: their node has been unreachable
/// for as long as the app's strategy says.
bool is_lost(const wire::Task& task, const wire::AppDefinition& app, const Round& round);
/// Such a task is given up: its row goes, and its node kills it when it comes back.
bool is_expunged(const wire::Task& task, const wire::AppDefinition& app, const Round& round);

/// What an app is to be just now: its definition, or in a deployment whose step has not come what it was
/// before.
struct AppTarget {
    const wire::AppDefinition* app = nullptr;
    const wire::AppBackoff* backoff = nullptr;  ///< null: none
    bool rolling = false;                       ///< tasks of other configurations are replaced
    bool held = false;
    uint32_t instances_before = 0;  ///< of the definition that is being replaced
};

/// Plans one app. `tasks` are all of its tasks that have not ended, `stopped` those that have and whose
/// volumes wait; both by id.
class AppPlan {
 public:
    AppPlan(Round& round, const AppTarget& target, std::vector<const wire::Task*> tasks,
            std::vector<const wire::Task*> stopped);
    void run();
    /// Some were to be launched and had no place.
    bool is_stuck() const { return not_placed_ > 0; }

 private:
    struct Limits {
        uint32_t min_healthy = 0;
        uint32_t capacity = 0;  ///< may run at once, those that are being killed included
    };

    void sort_tasks();
    void kill_unhealthy();
    void kill_surplus();
    void launch_missing();
    void replace_old();
    Limits limits() const;
    void launch(uint32_t count);
    Constraints constraints() const;
    void explain(const Constraints& constraints);
    bool launch_one(Placement::Series& series, bool replaces_lost);
    void wait(WhyNot::Kind kind, std::string text, uint32_t missing);
    bool must_go(const wire::Task& task) const;
    /// Count towards the instances, with what this round has launched.
    size_t planned() const { return staying_.size() + launched_; }
    size_t occupied() const { return planned() + old_.size() + dying_.size(); }
    uint32_t ready_count(const std::vector<const wire::Task*>& tasks) const;
    void kill(std::vector<const wire::Task*>& from, const wire::Task* task, KillTask::Why why);
    void kill_some(std::vector<const wire::Task*>& from, size_t count, KillTask::Why why);
    const wire::Task* stopped_instance() const;

    Round& round_;
    const AppTarget& target_;
    const wire::AppDefinition& app_;
    std::vector<const wire::Task*> tasks_;
    std::vector<const wire::Task*> stopped_;  ///< ended ones whose volumes wait for their next task
    std::vector<const wire::Task*> staying_;  ///< count towards the instances
    std::vector<const wire::Task*> old_;  ///< to be replaced: another configuration, or their node is drained
    std::vector<const wire::Task*> dying_;
    std::vector<const wire::Task*> lost_;
    uint32_t launched_ = 0;    ///< in this round
    uint32_t not_placed_ = 0;  ///< for want of a place
};

}  // namespace smackd::apps
