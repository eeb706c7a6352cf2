#include "core/apps/plan.h"

#include <algorithm>
#include <format>
#include <map>
#include <memory>

#include "core/apps/app_plan.h"
#include "core/apps/backoff.h"
#include "core/apps/deployment.h"
#include "core/apps/placement.h"
#include "core/apps/progress.h"

namespace smackd::apps {

using wire::AppBackoff;
using wire::AppDefinition;
using wire::Deployment;
using wire::Task;

namespace {

struct AppTasks {
    std::vector<const Task*> active;  ///< have not ended
    std::vector<const Task*> ended;
};

/// How many more tasks of unreachable nodes may be replaced now.
uint32_t replacements_left(const View& view, const Parameters& parameters, int64_t now_ms) {
    const auto begun = std::ranges::count_if(view.tasks, [&](const Task* task) {
        return task->replaces_lost() && task->staged_ms() > now_ms - 1000;
    });
    return parameters.replacements_per_s -
           std::min<uint32_t>(parameters.replacements_per_s, static_cast<uint32_t>(begun));
}

/// One call of decide().
class Decider {
 public:
    Decider(const View& view, const Parameters& parameters, int64_t now_ms, core::Random& random)
        : view_(view),
          placement_(view.nodes, view.tasks),
          round_{parameters,
                 now_ms,
                 random,
                 placement_,
                 view.leases_over,
                 decision_,
                 false,
                 parameters.launches_max,
                 replacements_left(view, parameters, now_ms),
                 round_.replacements,
                 parameters.kills_max} {
        for (const AppDefinition* app : view.apps) apps_[app->id()] = app;
        for (const AppBackoff* backoff : view.backoffs) backoffs_[backoff->app_id()] = backoff;
        for (const Task* task : view.tasks)
            (has_ended(*task) ? tasks_[task->app_id()].ended : tasks_[task->app_id()].active).push_back(task);
    }

    Decision run() {
        look_at_nodes();
        note_unreachable();
        for (const Deployment* deployment : view_.deployments) look_at_deployment(*deployment);
        for (auto& [app_id, tasks] : tasks_) {
            if (!apps_.contains(app_id)) clear_removed(tasks);
        }
        for (const auto& [app_id, app] : apps_) plan_app(*app, tasks_[app_id]);
        return std::move(decision_);
    }

 private:
    void look_at_nodes();
    void note_unreachable();
    bool note_one(const Task& task, const Node* node);
    void look_at_deployment(const Deployment& deployment);
    void plan_app(const AppDefinition& app, AppTasks& tasks);
    AppTarget target_of(const AppDefinition& app) const;
    const AppBackoff* count_ends(const AppDefinition& app, const std::vector<const Task*>& ended);
    void forget_ended(const AppDefinition* app, std::vector<const Task*> ended);
    void clear_removed(const AppTasks& tasks);

    const View& view_;
    Placement placement_;
    Decision decision_;
    Round round_;
    std::map<std::string, const AppDefinition*> apps_;
    std::map<std::string, const AppBackoff*> backoffs_;
    std::map<std::string, AppTasks> tasks_;
    std::map<std::string, AppRole> roles_;               ///< of apps in running deployments
    std::vector<std::unique_ptr<Deployment>> advanced_;  ///< what roles_ may point into
    std::map<std::string, AppBackoff> counted_;
};

void Decider::look_at_nodes() {
    for (const Node& node : view_.nodes) {
        if (node.drain_changes_ms != 0) round_.wake_at(node.drain_changes_ms);
    }
    Outage outage = outage_of(view_.nodes, round_.parameters.hold_percent);
    round_.hold_replacement = outage.holds;
    if (outage.certain) decision_.actions.push_back(HoldReplacement{std::move(outage)});
}

void Decider::note_unreachable() {
    for (auto& [app_id, tasks] : tasks_) {
        std::erase_if(tasks.active, [&](const Task* task) {
            return note_one(*task, placement_.find(core::NodeId{task->node_id()}));
        });
    }
}

/// Writes what the leader knows of a task by its node. True when it is over.
bool Decider::note_one(const Task& task, const Node* node) {
    const bool gone = node == nullptr || node->liveness == Liveness::kGone;
    const bool unreachable = unreachable_since(task, node) > 0;
    if (!gone && (!unreachable || task.status().state() == wire::TASK_UNREACHABLE)) return false;
    wire::TaskStatus status = task.status();
    status.clear_uuid();
    status.set_time_ms(round_.now_ms);
    if (gone) {
        status.set_state(wire::TASK_GONE_BY_OPERATOR);
        status.set_ended_ms(round_.now_ms);
        status.set_message("its node was removed from the cluster");
        status.set_reason("REASON_AGENT_REMOVED_BY_OPERATOR");
    } else {
        status.set_state(wire::TASK_UNREACHABLE);
        status.set_unreachable_ms(unreachable_since(task, node));
        status.set_message("its node does not answer");
        status.set_reason("REASON_SLAVE_REMOVED");
    }
    decision_.actions.push_back(SetStatus{task.id(), std::move(status)});
    return gone;
}

void Decider::look_at_deployment(const Deployment& deployment) {
    if (deployment.state() == Deployment::FAILED) return;
    auto advanced = std::make_unique<Deployment>(deployment);
    const auto is_done = [&](const wire::DeploymentStep::Entry& entry) {
        const auto app = apps_.find(entry.app_id());
        return is_entry_done(entry, app == apps_.end() ? nullptr : app->second, tasks_[entry.app_id()].active,
                             round_);
    };
    while (advanced->current_step() < static_cast<uint32_t>(advanced->steps_size())) {
        const auto& step = advanced->steps(static_cast<int>(advanced->current_step()));
        if (!std::ranges::all_of(step.entries(), is_done)) break;
        advanced->set_current_step(advanced->current_step() + 1);
    }
    if (advanced->current_step() == static_cast<uint32_t>(advanced->steps_size())) {
        decision_.actions.push_back(FinishDeployment{deployment.id(), true, ""});
    } else {
        const int64_t cluster_ms = round_.parameters.deployment_deadline_ms;
        const int64_t deadline = deployment.deadline_ms() > 0 ? deployment.deadline_ms()
                                 : cluster_ms > 0             ? deployment.started_ms() + cluster_ms
                                                              : 0;
        if (deadline > 0 && round_.now_ms >= deadline) {
            const std::string reason =
                std::format("was not done after {} s", (deadline - deployment.started_ms()) / 1000);
            if (deployment.rollback_on_deadline()) {
                decision_.actions.push_back(RollBack{deployment.id(), reason});
            } else {
                advanced->set_state(Deployment::FAILED);
                advanced->set_message(reason);
                decision_.actions.push_back(UpdateDeployment{*advanced});
            }
            // Nothing goes on before that is written.
            advanced->set_state(Deployment::FAILED);
        } else {
            if (deadline > 0) round_.wake_at(deadline);
            if (advanced->current_step() != deployment.current_step())
                decision_.actions.push_back(UpdateDeployment{*advanced});
        }
    }
    if (advanced->state() != Deployment::FAILED) {
        for (const std::string& id : advanced->affected_apps()) roles_[id] = role_in(*advanced, id);
    }
    advanced_.push_back(std::move(advanced));
}

AppTarget Decider::target_of(const AppDefinition& app) const {
    AppTarget target;
    target.app = &app;
    const auto found = roles_.find(app.id());
    if (found == roles_.end()) return target;
    const AppRole& role = found->second;
    if (role.held) {
        target.held = true;
        target.app = role.before;
    }
    target.rolling = role.rolling;
    if (role.before != nullptr) target.instances_before = role.before->instances();
    return target;
}

void Decider::plan_app(const AppDefinition& app, AppTasks& tasks) {
    const AppBackoff* backoff = count_ends(app, tasks.ended);
    AppTarget target = target_of(app);
    if (target.held) {
        WhyNot why;
        why.kind = WhyNot::Kind::kDeployment;
        why.text = "waits for an earlier step of its deployment";
        const uint32_t before = target.app == nullptr ? 0 : target.app->instances();
        why.missing = app.instances() > before ? app.instances() - before : 0;
        decision_.waiting[app.id()] = std::move(why);
    }
    forget_ended(&app, tasks.ended);
    if (target.app == nullptr) return;
    target.backoff = backoff;
    for (const Task* task : tasks.active) {
        if (!is_expunged(*task, *target.app, round_)) continue;
        // What is wanted still is given up only as fast as it may be replaced.
        if (task->desired() == Task::RUN && round_.expunges == 0) {
            round_.wake_at(round_.now_ms + kRateLookMs);
            continue;
        }
        if (task->desired() == Task::RUN) --round_.expunges;
        decision_.actions.push_back(ForgetTask{task->id()});
    }
    std::vector<const Task*> stopped;
    for (const Task* task : tasks.ended) {
        if (keeps_volumes(*task) && has_persistent_volume(*target.app)) stopped.push_back(task);
    }
    AppPlan(round_, target, tasks.active, std::move(stopped)).run();
}

/// Counts what has ended since the last time and returns the back-off with it; null: none.
const AppBackoff* Decider::count_ends(const AppDefinition& app, const std::vector<const Task*>& ended) {
    const auto found = backoffs_.find(app.id());
    const AppBackoff* backoff = found == backoffs_.end() ? nullptr : found->second;
    bool changed = false;
    for (const Task* task : ended) {
        if (task->counted()) continue;
        CountEnd count{*task};
        count.task.set_counted(true);
        decision_.actions.push_back(std::move(count));
        if (!has_failed(*task)) continue;
        counted_[app.id()] = after_failure(app, backoff, *task, round_.now_ms);
        backoff = &counted_[app.id()];
        changed = true;
    }
    if (backoff == nullptr) return nullptr;
    if (auto reset = without_delay(app, *backoff, round_.now_ms)) {
        counted_[app.id()] = *std::move(reset);
        backoff = &counted_[app.id()];
        changed = true;
    } else if (const int64_t end = delay_ends_ms(app, *backoff); end > 0) {
        round_.wake_at(end);
    }
    if (changed) decision_.actions.push_back(SetBackoff{*backoff});
    return backoff;
}

/// The newest are kept for a while, for people who ask what happened. `app` is null when it was removed.
void Decider::forget_ended(const AppDefinition* app, std::vector<const Task*> ended) {
    std::ranges::sort(ended, [](const Task* a, const Task* b) {
        return std::tuple(-a->status().ended_ms(), a->id()) < std::tuple(-b->status().ended_ms(), b->id());
    });
    uint32_t kept = 0;
    for (const Task* task : ended) {
        if (app != nullptr && !task->counted()) continue;
        // The row of a volume stays as long as the app.
        if (app != nullptr && has_persistent_volume(*app) && keeps_volumes(*task)) continue;
        const int64_t end = task->status().ended_ms() + round_.parameters.ended_kept_ms;
        if (kept < round_.parameters.ended_kept_max && round_.now_ms < end) {
            ++kept;
            round_.wake_at(end);
        } else {
            decision_.actions.push_back(ForgetTask{task->id()});
        }
    }
}

void Decider::clear_removed(const AppTasks& tasks) {
    for (const Task* task : tasks.active) {
        const Node* node = placement_.find(core::NodeId{task->node_id()});
        if (unreachable_since(*task, node) > 0) {
            decision_.actions.push_back(ForgetTask{task->id()});
        } else if (task->desired() != Task::KILL) {
            round_.kill(*task, nullptr, KillTask::Why::kRemoved);
        }
    }
    forget_ended(nullptr, tasks.ended);
}

}  // namespace

Decision decide(const View& view, const Parameters& parameters, int64_t now_ms, core::Random& random) {
    return Decider(view, parameters, now_ms, random).run();
}

}  // namespace smackd::apps
