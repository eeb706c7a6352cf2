#include "core/apps/planner.h"

#include <algorithm>
#include <format>
#include <tuple>
#include <utility>

#include "core/apps/backoff.h"
#include "core/apps/deployment.h"
#include "core/apps/progress.h"
#include "core/planted.h"

namespace smackd::apps {

using wire::AppBackoff;
using wire::AppDefinition;
using wire::Deployment;
using wire::Task;

namespace {

/// Before all stuck apps are looked at anew instead of remembering more.
constexpr size_t kFreedMax = 100'000;

}  // namespace

// ---- rows ----

Planner::App& Planner::app(const std::string& id) {
    const auto found = apps_.try_emplace(id).first;
    found->second.id = &found->first;
    found->second.due = true;
    return found->second;
}

void Planner::drop_if_empty(App& app) {
    const bool empty =
        app.definition == nullptr && app.backoff == nullptr && app.tasks.empty() && app.deployments.empty();
    if (empty) apps_.erase(apps_.find(*app.id));
}

void Planner::put_app(const AppDefinition& definition) {
    app(definition.id()).definition = &definition;
}

void Planner::remove_app(const std::string& id) {
    App& removed = app(id);
    removed.definition = nullptr;
    drop_if_empty(removed);
}

void Planner::put_backoff(const AppBackoff& backoff) {
    app(backoff.app_id()).backoff = &backoff;
}

void Planner::remove_backoff(const std::string& app_id) {
    App& owner = app(app_id);
    owner.backoff = nullptr;
    drop_if_empty(owner);
}

void Planner::put_task(const Task& task) {
    const auto [found, fresh] = tasks_.try_emplace(task.id());
    TaskEntry& entry = found->second;
    App& owner = app(task.app_id());
    if (!fresh && (entry.app != &owner || entry.node != task.node_id())) detach(entry);
    const bool attach = entry.app == nullptr;
    entry.row = &task;
    entry.app = &owner;
    entry.node = task.node_id();
    if (attach) {
        entry.id = task.id();
        owner.tasks.insert(std::ranges::lower_bound(owner.tasks, entry.id, {}, &TaskEntry::id), &entry);
        nodes_[entry.node].tasks.push_back(&entry);
    }
    touch(entry.node);
    if (task.replaces_lost()) replacing_[task.id()] = task.staged_ms();
    if (task.lease_generation() > 0 && task.status().state() == wire::TASK_UNREACHABLE) {
        leased_unreachable_.insert(task.id());
    } else {
        leased_unreachable_.erase(task.id());
    }
}

/// From its app and its node.
void Planner::detach(TaskEntry& entry) {
    if (entry.app == nullptr) return;
    entry.app->due = true;
    const auto at = std::ranges::lower_bound(entry.app->tasks, entry.id, {}, &TaskEntry::id);
    if (at != entry.app->tasks.end() && *at == &entry) entry.app->tasks.erase(at);
    std::erase(nodes_[entry.node].tasks, &entry);
    touch(entry.node);
    entry.app = nullptr;
}

void Planner::remove_task(const std::string& id) {
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) return;
    App* owner = found->second.app;
    detach(found->second);
    tasks_.erase(found);
    leased_unreachable_.erase(id);
    replacing_.erase(id);
    drop_if_empty(*owner);
}

void Planner::put_deployment(const Deployment& deployment) {
    remove_deployment(deployment.id());
    const auto made = deployments_.try_emplace(deployment.id()).first;
    DeploymentEntry& entry = made->second;
    entry.id = &made->first;  // others' rows may be gone already, before this is told
    entry.row = &deployment;
    for (const std::string& id : deployment.affected_apps()) {
        App& affected = app(id);
        const auto at =
            std::ranges::upper_bound(affected.deployments, *entry.id, {},
                                     [](const auto* one) -> const std::string& { return *one->id; });
        affected.deployments.insert(at, &entry);
        entry.apps.push_back(&affected);
    }
}

void Planner::remove_deployment(const std::string& id) {
    const auto found = deployments_.find(id);
    if (found == deployments_.end()) return;
    for (App* affected : found->second.apps) {
        std::erase(affected->deployments, &found->second);
        affected->has_role = false;
        affected->due |= !SMACK_BUG("planner_forgets_deployment");
    }
    deployments_.erase(found);
}

void Planner::put_node(const Node& node) {
    NodeEntry& entry = nodes_[node.id.value];
    note_node(node.id.value, entry, &node);
    placement_.put_node(node);
    freed_.push_back(node.id);
    touch(node.id.value);
}

void Planner::remove_node(core::NodeId id) {
    const auto found = nodes_.find(id.value);
    if (found == nodes_.end()) return;
    placement_.remove_node(id);
    note_node(id.value, found->second, nullptr);
    if (found->second.tasks.empty()) nodes_.erase(found);
}

/// What is known of all nodes together, and that the apps on this one are to be looked at.
void Planner::note_node(uint64_t id, NodeEntry& entry, const Node* node) {
    nodes_known_ += static_cast<uint32_t>(node != nullptr) - static_cast<uint32_t>(entry.node != nullptr);
    entry.node = node;
    outage_stale_ = true;
    const bool silent =
        node != nullptr && (node->liveness == Liveness::kUnreachable || node->liveness == Liveness::kSuspect);
    if (silent) {
        silent_.insert(id);
    } else {
        silent_.erase(id);
    }
    if (node != nullptr && node->drain_changes_ms != 0) {
        drains_timed_.insert(id);
    } else {
        drains_timed_.erase(id);
    }
    for (const TaskEntry* task : entry.tasks) task->app->due = true;
}

void Planner::touch(uint64_t node) {
    NodeEntry& entry = nodes_[node];
    if (!std::exchange(entry.recount, true)) to_recount_.push_back(node);
}

std::vector<const Task*> Planner::leased_unreachable() const {
    std::vector<const Task*> tasks;
    for (const std::string& id : leased_unreachable_) tasks.push_back(tasks_.at(id).row);
    return tasks;
}

// ---- the step ----

Decision Planner::decide(int64_t now_ms, core::Random& random, bool explain) {
    decision_ = {};
    round_ = std::make_unique<Round>(Round{.parameters = parameters_,
                                           .now_ms = now_ms,
                                           .random = random,
                                           .placement = placement_,
                                           .leases_over = leases_over_,
                                           .decision = decision_,
                                           .explain = explain,
                                           .launches = parameters_.launches_max,
                                           .kills = parameters_.kills_max});
    round_->replacements = round_->expunges = replacements_left(now_ms);
    recount_nodes();
    look_at_nodes();
    find_due();
    for (auto& [id, app] : apps_) {
        if (app.due) begin(app);
    }
    for (auto& [id, entry] : deployments_) {
        if (entry.due) look(entry.due, entry.wake_ms, [&] { look_at_deployment(entry); });
    }
    plan_apps();
    decision_.next_ms = next_ms();
    last_ms_ = now_ms;
    round_.reset();
    return std::exchange(decision_, {});
}

/// Those of removed apps first.
void Planner::plan_apps() {
    std::vector<App*> apps;
    for (auto& [id, app] : apps_) {
        if (app.in_step) apps.push_back(&app);
    }
    for (App* app : apps) {
        if (app->definition == nullptr) look(app->due, app->wake_ms, [&] { clear_removed(app->now); });
    }
    for (App* app : apps) {
        if (app->definition != nullptr) {
            find_role(*app);
            look(app->due, app->wake_ms, [&] { plan_app(*app); });
        }
        app->now = {};
        app->in_step = false;
    }
}

/// What has acted is looked at once more: its actions may be refused. So is what is to be asked at once.
template <class Work>
void Planner::look(bool& due, int64_t& wake_ms, Work work) {
    const size_t before = decision_.actions.size();
    decision_.next_ms = 0;
    work();
    wake_ms = decision_.next_ms;
    const bool acted = decision_.actions.size() != before && !SMACK_BUG("planner_trusts_actions");
    const bool at_once = wake_ms != 0 && wake_ms <= round_->now_ms + 1;
    due |= acted || at_once;
}

/// Nodes whose tasks have changed, and those that the last step placed on: it may have been refused.
void Planner::recount_nodes() {
    for (const core::NodeId id : placement_.take_touched()) touch(id.value);
    std::vector<const Task*> tasks;
    for (const uint64_t id : std::exchange(to_recount_, {})) {
        const auto found = nodes_.find(id);
        if (found == nodes_.end()) continue;
        found->second.recount = false;
        tasks.clear();
        for (const TaskEntry* task : found->second.tasks) tasks.push_back(task->row);
        if (placement_.recount(core::NodeId{id}, tasks) && !SMACK_BUG("planner_forgets_freed"))
            freed_.push_back(core::NodeId{id});
        if (found->second.node == nullptr && found->second.tasks.empty()) nodes_.erase(found);
    }
}

void Planner::look_at_nodes() {
    if (std::exchange(outage_stale_, false)) {
        std::vector<Node> nodes(
            nodes_known_);  // only those that do not answer matter, and how many there are
        size_t next = 0;
        for (const uint64_t id : silent_) nodes[next++] = *nodes_.at(id).node;
        outage_ = outage_of(nodes, parameters_.hold_percent);
    }
    round_->hold_replacement = outage_.holds;
    if (outage_.certain) decision_.actions.push_back(HoldReplacement{outage_});
}

void Planner::set_hold_percent(uint32_t percent) {
    outage_stale_ |= percent != parameters_.hold_percent;
    parameters_.hold_percent = percent;
}

/// How many more tasks of unreachable nodes may be replaced now.
uint32_t Planner::replacements_left(int64_t now_ms) {
    std::erase_if(replacing_, [now_ms](const auto& one) { return one.second <= now_ms - 1000; });
    const auto begun = static_cast<uint32_t>(replacing_.size());
    return parameters_.replacements_per_s - std::min(parameters_.replacements_per_s, begun);
}

void Planner::find_due() {
    const int64_t now_ms = round_->now_ms;
    const bool all = std::exchange(held_, round_->hold_replacement) != round_->hold_replacement ||
                     now_ms < last_ms_ || round_->explain || freed_.size() > kFreedMax;
    if (freed_.size() > kFreedMax) freed_.clear();
    const auto is_over = [now_ms](int64_t wake_ms) { return wake_ms != 0 && wake_ms <= now_ms; };
    for (auto& [id, app] : apps_)
        app.due |= all || app.timed || is_over(app.wake_ms) || (app.stuck && fits_into_freed(app));
    for (auto& [id, entry] : deployments_) entry.due |= all || is_over(entry.wake_ms);
    for (bool more = true; std::exchange(more, false);) {
        for (auto& [id, entry] : deployments_) {
            entry.due |= std::ranges::any_of(entry.apps, [](const App* app) { return app->due; });
            // Of several deployments of an app the last one counts: they are looked at together.
            const auto shared = [](const App* app) { return app->deployments.size() > 1; };
            if (!entry.due || std::ranges::none_of(entry.apps, shared)) continue;
            for (App* app : entry.apps) more |= !std::exchange(app->due, true);
        }
    }
}

/// From here on the app is part of the step.
void Planner::begin(App& app) {
    app.in_step = true;
    app.due = false;
    app.now = {};
    for (const TaskEntry* task : app.tasks)
        (has_ended(*task->row) ? app.now.ended : app.now.active).push_back(task->row);
    note_unreachable(app);
}

/// Whether anything that has become free since the app was looked at has room for it.
bool Planner::fits_into_freed(App& app) const {
    if (app.freed_seen == freed_.size() || app.definition == nullptr) return false;
    if (app.has_role) return true;  // its deployment may have it as it was before
    const Demand demand(*app.definition);
    for (; app.freed_seen < freed_.size(); ++app.freed_seen) {
        if (placement_.has_room(freed_[app.freed_seen], demand)) return true;
    }
    return false;
}

/// Also of an app that is not part of the step: nothing of it is gone then.
std::vector<const Task*> Planner::active_of(const App& app) const {
    if (app.in_step) return app.now.active;
    std::vector<const Task*> active;
    for (const TaskEntry* task : app.tasks) {
        if (!has_ended(*task->row)) active.push_back(task->row);
    }
    return active;
}

void Planner::note_unreachable(App& app) {
    app.timed = false;
    const size_t before = decision_.actions.size();
    std::erase_if(app.now.active, [&](const Task* task) {
        const Node* node = placement_.find(core::NodeId{task->node_id()});
        app.timed |= unreachable_since(*task, node) > 0 && !SMACK_BUG("planner_forgets_time");
        return note_one(*task, node);
    });
    app.due |= decision_.actions.size() != before;
}

/// Writes what the leader knows of a task by its node. True when it is over.
bool Planner::note_one(const Task& task, const Node* node) {
    const bool gone = node == nullptr || node->liveness == Liveness::kGone;
    const int64_t since_ms = unreachable_since(task, node);
    if (!gone && (since_ms == 0 || task.status().state() == wire::TASK_UNREACHABLE)) return false;
    wire::TaskStatus status = task.status();
    status.clear_uuid();
    status.set_time_ms(round_->now_ms);
    if (gone) {
        status.set_state(wire::TASK_GONE_BY_OPERATOR);
        status.set_ended_ms(round_->now_ms);
        status.set_message("its node was removed from the cluster");
        status.set_reason("REASON_AGENT_REMOVED_BY_OPERATOR");
    } else {
        status.set_state(wire::TASK_UNREACHABLE);
        status.set_unreachable_ms(since_ms);
        status.set_message("its node does not answer");
        status.set_reason("REASON_SLAVE_REMOVED");
    }
    decision_.actions.push_back(SetStatus{task.id(), std::move(status)});
    return gone;
}

void Planner::look_at_deployment(DeploymentEntry& entry) {
    entry.due = false;
    const Deployment& deployment = *entry.row;
    if (deployment.state() == Deployment::FAILED) return;
    const auto is_done = [&](const wire::DeploymentStep::Entry& one) {
        const auto found = apps_.find(one.app_id());
        if (found == apps_.end()) return is_entry_done(one, nullptr, {}, *round_);
        return is_entry_done(one, found->second.definition, active_of(found->second), *round_);
    };
    uint32_t step = deployment.current_step();
    while (step < static_cast<uint32_t>(deployment.steps_size()) &&
           std::ranges::all_of(deployment.steps(static_cast<int>(step)).entries(), is_done))
        ++step;
    const bool runs = end_or_go_on(entry, step);
    const bool same = entry.looked && entry.step == step && entry.runs == runs;
    entry.looked = true;
    entry.step = step;
    entry.runs = runs;
    if (same) return;
    // Rows are large and most looks change nothing, so only one whose step is ahead of its row is copied.
    const auto before = std::exchange(entry.advanced, nullptr);
    if (step != deployment.current_step()) {
        entry.advanced = std::make_unique<Deployment>(deployment);
        entry.advanced->set_current_step(step);
    }
    for (App* app : entry.apps) {
        if (!app->in_step) begin(*app);
    }
}

/// Whether it goes on; what does not is over, or has failed once that is written.
bool Planner::end_or_go_on(const DeploymentEntry& entry, uint32_t step) {
    const Deployment& deployment = *entry.row;
    if (step == static_cast<uint32_t>(deployment.steps_size())) {
        decision_.actions.push_back(FinishDeployment{deployment.id(), true, ""});
        return true;
    }
    const auto changed = [&] {
        Deployment changed = deployment;
        changed.set_current_step(step);
        return changed;
    };
    const int64_t cluster_ms = parameters_.deployment_deadline_ms;
    const int64_t deadline = deployment.deadline_ms() > 0 ? deployment.deadline_ms()
                             : cluster_ms > 0             ? deployment.started_ms() + cluster_ms
                                                          : 0;
    if (deadline == 0 || round_->now_ms < deadline) {
        if (deadline > 0) round_->wake_at(deadline);
        if (step != deployment.current_step()) decision_.actions.push_back(UpdateDeployment{changed()});
        return true;
    }
    const std::string reason =
        std::format("was not done after {} s", (deadline - deployment.started_ms()) / 1000);
    if (deployment.rollback_on_deadline()) {
        decision_.actions.push_back(RollBack{deployment.id(), reason});
    } else {
        Deployment failed = changed();
        failed.set_state(Deployment::FAILED);
        failed.set_message(reason);
        decision_.actions.push_back(UpdateDeployment{std::move(failed)});
    }
    return false;
}

/// By its deployment; of several the last one that goes on counts.
void Planner::find_role(App& app) {
    app.has_role = false;
    for (const DeploymentEntry* entry : app.deployments) {
        if (!entry->runs) continue;
        app.has_role = true;
        app.role = role_in(entry->advanced ? *entry->advanced : *entry->row, *app.id);
    }
}

AppTarget Planner::target_of(const App& app) const {
    AppTarget target;
    target.app = app.definition;
    if (!app.has_role) return target;
    if (app.role.held) {
        target.held = true;
        target.app = app.role.before;
    }
    target.rolling = app.role.rolling;
    if (app.role.before != nullptr) target.instances_before = app.role.before->instances();
    return target;
}

void Planner::plan_app(App& app) {
    const AppDefinition& definition = *app.definition;
    app.stuck = false;
    const AppBackoff* backoff = count_ends(app);
    AppTarget target = target_of(app);
    if (target.held) {
        WhyNot why;
        why.kind = WhyNot::Kind::kDeployment;
        why.text = "waits for an earlier step of its deployment";
        const uint32_t before = target.app == nullptr ? 0 : target.app->instances();
        why.missing = definition.instances() > before ? definition.instances() - before : 0;
        decision_.waiting[definition.id()] = std::move(why);
    }
    forget_ended(&definition, app.now.ended);
    if (target.app == nullptr) return;
    target.backoff = backoff;
    give_up_lost(app, *target.app);
    std::vector<const Task*> stopped;
    for (const Task* task : app.now.ended) {
        if (keeps_volumes(*task) && has_persistent_volume(*target.app)) stopped.push_back(task);
    }
    AppPlan plan(*round_, target, app.now.active, std::move(stopped));
    plan.run();
    app.stuck = plan.is_stuck();
    app.freed_seen = freed_.size();
}

/// What is wanted still is given up only as fast as it may be replaced.
void Planner::give_up_lost(const App& app, const AppDefinition& definition) {
    for (const Task* task : app.now.active) {
        if (!is_expunged(*task, definition, *round_)) continue;
        const bool wanted = task->desired() == Task::RUN;
        if (wanted && round_->expunges == 0) {
            round_->wake_at(round_->now_ms + kRateLookMs);
            continue;
        }
        if (wanted) --round_->expunges;
        decision_.actions.push_back(ForgetTask{task->id()});
    }
}

/// Counts what has ended since the last time and returns the back-off with it; null: none.
const AppBackoff* Planner::count_ends(App& app) {
    const AppDefinition& definition = *app.definition;
    const AppBackoff* backoff = app.backoff;
    bool changed = false;
    const auto change = [&](AppBackoff to) {
        app.counted = std::move(to);
        backoff = &app.counted;
        changed = true;
    };
    for (const Task* task : app.now.ended) {
        if (task->counted()) continue;
        CountEnd count{*task};
        count.task.set_counted(true);
        decision_.actions.push_back(std::move(count));
        if (has_failed(*task)) change(after_failure(definition, backoff, *task, round_->now_ms));
    }
    if (backoff == nullptr) return nullptr;
    if (auto reset = without_delay(definition, *backoff, round_->now_ms)) {
        change(*std::move(reset));
    } else if (const int64_t end = delay_ends_ms(definition, *backoff); end > 0) {
        round_->wake_at(end);
    }
    if (changed) decision_.actions.push_back(SetBackoff{*backoff});
    return backoff;
}

/// The newest are kept for a while, for people who ask what happened. `app` is null when it was removed.
void Planner::forget_ended(const AppDefinition* app, std::vector<const Task*> ended) {
    std::ranges::sort(ended, [](const Task* a, const Task* b) {
        return std::tuple(-a->status().ended_ms(), a->id()) < std::tuple(-b->status().ended_ms(), b->id());
    });
    uint32_t kept = 0;
    for (const Task* task : ended) {
        if (app != nullptr && !task->counted()) continue;
        // The row of a volume stays as long as the app.
        if (app != nullptr && has_persistent_volume(*app) && keeps_volumes(*task)) continue;
        const int64_t end = task->status().ended_ms() + parameters_.ended_kept_ms;
        if (kept < parameters_.ended_kept_max && round_->now_ms < end) {
            ++kept;
            round_->wake_at(end);
        } else {
            decision_.actions.push_back(ForgetTask{task->id()});
        }
    }
}

void Planner::clear_removed(const Active& tasks) {
    for (const Task* task : tasks.active) {
        const Node* node = placement_.find(core::NodeId{task->node_id()});
        if (unreachable_since(*task, node) > 0) {
            decision_.actions.push_back(ForgetTask{task->id()});
        } else if (task->desired() != Task::KILL) {
            round_->kill(*task, nullptr, KillTask::Why::kRemoved);
        }
    }
    forget_ended(nullptr, tasks.ended);
}

int64_t Planner::next_ms() const {
    int64_t next = 0;
    const auto consider = [&next](int64_t wake_ms) {
        if (wake_ms != 0 && (next == 0 || wake_ms < next)) next = wake_ms;
    };
    for (const auto& [id, app] : apps_) consider(app.wake_ms);
    for (const auto& [id, entry] : deployments_) consider(entry.wake_ms);
    for (const uint64_t id : drains_timed_) consider(nodes_.at(id).node->drain_changes_ms);
    return next;
}

}  // namespace smackd::apps
