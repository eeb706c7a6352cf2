// The leader's decisions about applications, as one pure step: what is wanted and what there is go in,
// actions come out.
//
// decide() is level-triggered: it looks at the whole view and answers what to do next, so it converges after
// any loss, crash or change of leader, and calling it once more does no harm. The driver applies each action
// as a command (with the versions it was decided on) and overlays those not yet applied onto the next view;
// until the outcome of a launch is known, its task must be in the view. Nothing here reads a clock; `random`
// only makes task ids.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/apps/node.h"
#include "core/apps/outage.h"
#include "core/apps/task_rules.h"
#include "core/apps/why_not.h"
#include "core/random.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// Everything a decision looks at. Pointers are borrowed for the call; the order does not matter.
struct View {
    std::vector<const wire::AppDefinition*> apps;
    std::vector<const wire::Task*> tasks;
    std::vector<const wire::Deployment*> deployments;
    std::vector<const wire::AppBackoff*> backoffs;
    std::vector<Node> nodes;
    std::set<std::string> leases_over;  ///< tasks whose lease is over for certain (core/apps/leases.h)
};

struct Parameters {
    uint32_t launches_max = 200;  ///< per call, over all apps: bounds one command batch
    uint32_t kills_max = 500;     ///< per call, over all apps
    /// Tasks of unreachable nodes replaced within a second, over all apps: the rest of the cluster starts
    /// them.
    uint32_t replacements_per_s = 100;
    uint32_t hold_percent = kHoldPercent;  ///< see outage_of()
    int64_t ended_kept_ms = 3600 * 1000;   ///< how long a task that has ended stays in the state
    uint32_t ended_kept_max = 20;          ///< per app
    int64_t deployment_deadline_ms = 0;    ///< for deployments without one of their own; 0: none
    int64_t kill_grace_ms = 3'000;         ///< when the app sets none
    /// The most of an app's instances that is being killed for health checks at a time: checkers err
    /// together.
    double unhealthy_kill_share_max = 0.34;
};

/// Starts a task: `task` is the row, complete but for its status.
struct LaunchTask {
    wire::Task task;
};
/// Asks for the end of a task: `task` is its row with desired KILL; `why` is for events.
struct KillTask {
    enum class Why : uint8_t { kSurplus, kReplaced, kUnhealthy, kRemoved, kDrained };
    wire::Task task;
    Why why = Why::kSurplus;
};
/// The row of a task that has ended, with `counted` set: its end went into the back-off.
struct CountEnd {
    wire::Task task;
};
/// What the leader itself says of a task: its node is unreachable, back, or gone.
struct SetStatus {
    std::string task_id;
    wire::TaskStatus status;
};
/// Removes the row of a task that has ended or was expunged.
struct ForgetTask {
    std::string task_id;
};
struct SetBackoff {
    wire::AppBackoff backoff;
};
/// The row of a deployment with another current step or state.
struct UpdateDeployment {
    wire::Deployment deployment;
};
/// The deployment is over: its row goes.
struct FinishDeployment {
    std::string id;
    bool succeeded = true;
    std::string reason;
};
/// A deployment ran past its deadline and asked for a rollback: apps as they were, and this deployment
/// towards them.
struct RollBack {
    std::string id;
    std::string reason;
};
/// Nothing is replaced although nodes are unreachable: an alarm for people.
struct HoldReplacement {
    Outage outage;
};
using Action = std::variant<LaunchTask, KillTask, CountEnd, SetStatus, ForgetTask, SetBackoff,
                            UpdateDeployment, FinishDeployment, RollBack, HoldReplacement>;

struct Decision {
    std::vector<Action> actions;  ///< in the order to apply
    std::map<std::string, WhyNot>
        waiting;          ///< apps that have fewer tasks than wanted, and why; for /v2/queue
    int64_t next_ms = 0;  ///< when to ask again though nothing has changed; 0: no need
};

/// `now_ms` is the leader's clock, milliseconds since the epoch.
Decision decide(const View& view, const Parameters& parameters, int64_t now_ms, core::Random& random);

}  // namespace smackd::apps
