#include "core/apps/app_plan.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <optional>

#include "core/apps/kill_order.h"

namespace smackd::apps {

using wire::AppDefinition;
using wire::Task;

namespace {

/// Rounding noise of products such as 10 * 0.7 is not an instance.
constexpr double kNoise = 1e-6;

uint32_t rounded_up(double value) {
    return static_cast<uint32_t>(std::ceil(value - kNoise));
}
uint32_t rounded_down(double value) {
    return static_cast<uint32_t>(std::floor(value + kNoise));
}

std::string_view kill_reason(KillTask::Why why) {
    switch (why) {
        case KillTask::Why::kSurplus:
            return "scaled down";
        case KillTask::Why::kReplaced:
            return "replaced by a newer version";
        case KillTask::Why::kUnhealthy:
            return "failed its health checks";
        case KillTask::Why::kRemoved:
            return "the app was removed";
        case KillTask::Why::kDrained:
            return "its node is being drained";
    }
    return "";
}

}  // namespace

void Round::wake_at(int64_t time_ms) {
    if (decision.next_ms == 0 || time_ms < decision.next_ms) decision.next_ms = time_ms;
}

bool Round::kill(const Task& task, const AppDefinition* app, KillTask::Why why) {
    if (kills == 0) {
        wake_at(now_ms + 1);
        return false;
    }
    --kills;
    KillTask action{task, why};
    action.task.set_desired(Task::KILL);
    action.task.set_kill_ms(now_ms);
    action.task.set_kill_reason(std::string(kill_reason(why)));
    action.task.set_unhealthy(why == KillTask::Why::kUnhealthy);
    action.task.set_kill_grace_ms(app != nullptr && app->has_kill_grace_ms() ? app->kill_grace_ms()
                                                                             : parameters.kill_grace_ms);
    decision.actions.push_back(std::move(action));
    return true;
}

bool is_lost(const Task& task, const AppDefinition& app, const Round& round) {
    const int64_t since = unreachable_since(task, round.placement.find(core::NodeId{task.node_id()}));
    if (since == 0 || round.hold_replacement) return false;
    if (task.lease_generation() > 0 && !round.leases_over.contains(task.id())) return false;
    if (app.unreachable().disabled() && task.desired() == Task::RUN) return false;
    return round.now_ms >= since + app.unreachable().inactive_after_ms();
}

bool is_expunged(const Task& task, const AppDefinition& app, const Round& round) {
    if (!is_lost(task, app, round)) return false;
    // Volumes stay where they are: the row that knows of them does, too.
    if (task.volumes_size() > 0 && !task.wipe()) return false;
    const int64_t since = unreachable_since(task, round.placement.find(core::NodeId{task.node_id()}));
    return task.desired() == Task::KILL || round.now_ms >= since + app.unreachable().expunge_after_ms();
}

AppPlan::AppPlan(Round& round, const AppTarget& target, std::vector<const Task*> tasks,
                 std::vector<const Task*> stopped)
    : round_(round),
      target_(target),
      app_(*target.app),
      tasks_(std::move(tasks)),
      stopped_(std::move(stopped)) {}

void AppPlan::run() {
    sort_tasks();
    kill_unhealthy();
    kill_surplus();
    launch_missing();
    replace_old();
}

/// Whether another task is to take this one's place.
bool AppPlan::must_go(const Task& task) const {
    if (target_.rolling && task.config_version_ms() != app_.config_version_ms()) return true;
    const Node* node = round_.placement.find(core::NodeId{task.node_id()});
    return node != nullptr && node->draining;
}

void AppPlan::sort_tasks() {
    for (const Task* task : tasks_) {
        if (is_lost(*task, app_, round_)) {
            lost_.push_back(task);
            continue;
        }
        const bool dying = task->desired() == Task::KILL;
        const bool stays = !dying && !must_go(*task);
        (dying ? dying_ : stays ? staying_ : old_).push_back(task);
    }
}

/// With all that runs still.
Constraints AppPlan::constraints() const {
    Constraints constraints(app_);
    const auto add = [&](const std::vector<const Task*>& tasks, bool stays) {
        for (const Task* task : tasks) {
            const Node* node = round_.placement.find(core::NodeId{task->node_id()});
            if (node != nullptr) constraints.add(*node, stays);
        }
    };
    add(staying_, true);
    add(old_, false);
    add(dying_, false);
    return constraints;
}

void AppPlan::kill(std::vector<const Task*>& from, const Task* task, KillTask::Why why) {
    if (!round_.kill(*task, &app_, why)) return;
    std::erase(from, task);
    dying_.push_back(task);
}

void AppPlan::kill_some(std::vector<const Task*>& from, size_t count, KillTask::Why why) {
    if (count == 0) return;
    KillOrder order(from, app_, round_.placement);
    for (size_t i = 0; i < count && round_.kills > 0; ++i) {
        const Task* task = order.next();
        if (task == nullptr) return;
        kill(from, task, why);
    }
    if (round_.kills == 0) round_.wake_at(round_.now_ms + 1);
}

/// Few at a time: when most of an app fails its checks at once, it is more likely the checks.
void AppPlan::kill_unhealthy() {
    const double share = round_.parameters.unhealthy_kill_share_max;
    const uint32_t budget = std::max<uint32_t>(1, rounded_down(app_.instances() * share));
    auto killing = static_cast<uint32_t>(
        std::ranges::count_if(dying_, [](const Task* task) { return task->unhealthy(); }));
    for (auto* list : {&staying_, &old_}) {
        const std::vector<const Task*> tasks = *list;
        for (const Task* task : tasks) {
            if (killing >= budget || !is_to_be_killed(*task, app_)) continue;
            kill(*list, task, KillTask::Why::kUnhealthy);
            ++killing;
        }
    }
}

void AppPlan::kill_surplus() {
    if (staying_.size() > app_.instances())
        kill_some(staying_, staying_.size() - app_.instances(), KillTask::Why::kSurplus);
}

uint32_t AppPlan::ready_count(const std::vector<const Task*>& tasks) const {
    return static_cast<uint32_t>(
        std::ranges::count_if(tasks, [&](const Task* task) { return is_ready(*task, app_); }));
}

AppPlan::Limits AppPlan::limits() const {
    const uint32_t wanted = app_.instances();
    const bool replacing = !old_.empty();
    // An update that scales down as well keeps what there was until the new tasks are ready.
    const bool covered = ready_count(staying_) >= wanted;
    const uint32_t size =
        replacing && target_.rolling && !covered ? std::max(wanted, target_.instances_before) : wanted;
    Limits limits;
    limits.min_healthy = rounded_up(size * app_.upgrade().minimum_health_capacity());
    limits.capacity = std::max(size, rounded_down(size * (1 + app_.upgrade().maximum_over_capacity())));
    if (!replacing || limits.min_healthy < limits.capacity || size == 0) return limits;
    // Neither less nor more is allowed, so nothing could ever be replaced.
    if (has_persistent_volume(app_)) {
        --limits.min_healthy;
    } else {
        ++limits.capacity;
    }
    return limits;
}

void AppPlan::launch_missing() {
    const auto wanted = static_cast<size_t>(app_.instances());
    if (staying_.size() >= wanted) return;
    const auto missing = static_cast<uint32_t>(wanted - staying_.size());
    if (target_.backoff != nullptr && target_.backoff->config_version_ms() == app_.config_version_ms() &&
        target_.backoff->until_ms() > round_.now_ms) {
        round_.wake_at(target_.backoff->until_ms());
        wait(WhyNot::Kind::kBackoff,
             std::format("waits after {} failures: {}", target_.backoff->failures(),
                         target_.backoff->last_failure().message()),
             missing);
        round_.decision.waiting[app_.id()].until_ms = target_.backoff->until_ms();
        return;
    }
    const uint32_t capacity = limits().capacity;
    const auto room = capacity > occupied() ? static_cast<uint32_t>(capacity - occupied()) : 0;
    launch(std::min(missing, room));
    if (launched_ == room && launched_ < missing)
        wait(WhyNot::Kind::kKillPending,
             std::format("waits for other tasks of the app: at most {} may run at once", capacity),
             missing - launched_);
}

void AppPlan::launch(uint32_t count) {
    if (launched_ >= count) return;
    // All nodes are looked at for it, so only when something may be launched.
    std::optional<Constraints> constraints;
    std::optional<Placement::Series> series;
    for (; launched_ < count; ++launched_) {
        const bool replaces_lost = launched_ < lost_.size();
        if (round_.launches == 0 || (replaces_lost && round_.replacements == 0)) {
            wait(WhyNot::Kind::kLimit, "waits for its turn: launches are limited", count - launched_);
            round_.wake_at(round_.now_ms + (round_.launches == 0 ? 1 : kRateLookMs));
            return;
        }
        if (!series) {
            constraints.emplace(this->constraints());
            series.emplace(round_.placement, app_, *constraints);
        }
        if (!launch_one(*series, replaces_lost)) {
            not_placed_ = count - launched_;
            return explain(*constraints);
        }
        --round_.launches;
        if (replaces_lost) --round_.replacements;
    }
}

void AppPlan::explain(const Constraints& constraints) {
    const Task* stopped = stopped_instance();
    WhyNot why;
    if (round_.explain)
        why = round_.placement.explain(app_, constraints, core::NodeId{stopped ? stopped->node_id() : 0});
    why.missing = not_placed_;
    round_.decision.waiting[app_.id()] = std::move(why);
}

/// A stopped instance whose volumes are to be used again.
const Task* AppPlan::stopped_instance() const {
    return stopped_.empty() ? nullptr : stopped_.front();
}

bool AppPlan::launch_one(Placement::Series& series, bool replaces_lost) {
    const Task* stopped = stopped_instance();
    const auto place = series.place(round_.random, core::NodeId{stopped ? stopped->node_id() : 0});
    if (!place) return false;
    Task task;
    task.set_instance_id(stopped ? stopped->instance_id() : make_instance_id(app_.id(), round_.random));
    task.set_id(make_task_id(task.instance_id(), stopped ? attempt_of(stopped->id()) + 1 : 1));
    task.set_app_id(app_.id());
    task.set_app_version_ms(app_.version_ms());
    task.set_config_version_ms(app_.config_version_ms());
    task.set_node_id(place->node->id.value);
    task.set_machine(place->node->machine);
    task.set_host_address(place->node->address);
    task.set_zone(place->node->zone);
    task.set_region(place->node->region);
    task.set_role(place->role);
    for (const uint32_t port : place->host_ports) task.add_host_ports(port);
    *task.mutable_resources() = app_.resources();
    task.set_staged_ms(round_.now_ms);
    task.set_replaces_lost(replaces_lost);
    if (needs_lease(app_)) task.set_lease_generation(static_cast<uint64_t>(round_.now_ms));
    for (const wire::Volume& volume : app_.container().volumes()) {
        if (!volume.has_persistent()) continue;
        wire::LocalVolume& local = *task.add_volumes();
        local.set_container_path(volume.container_path());
        local.set_persistence_id(std::format("{}#{}", task.instance_id(), volume.container_path()));
    }
    if (stopped) {
        round_.decision.actions.push_back(ForgetTask{stopped->id()});
        stopped_.erase(stopped_.begin());
    }
    round_.decision.actions.push_back(LaunchTask{std::move(task)});
    return true;
}

/// Kills old tasks as far as the health that is promised allows: those whose substitutes are ready, and those
/// that stand in the way of the next ones.
void AppPlan::replace_old() {
    if (old_.empty()) return;
    const KillTask::Why why = target_.rolling ? KillTask::Why::kReplaced : KillTask::Why::kDrained;
    const std::vector<const Task*> tasks = old_;
    for (const Task* task : tasks) {
        const Node* node = round_.placement.find(core::NodeId{task->node_id()});
        const bool over = node != nullptr && node->drain_is_over;
        if (over || !is_ready(*task, app_)) kill(old_, task, over ? KillTask::Why::kDrained : why);
    }
    const Limits limit = limits();
    const uint32_t ready_new = ready_count(staying_);
    const auto ready_old = static_cast<uint32_t>(old_.size());
    const uint32_t wanted = app_.instances();
    const uint32_t size = target_.rolling ? std::max(wanted, target_.instances_before) : wanted;
    const uint32_t keep = ready_new >= wanted ? 0 : size - std::min(size, ready_new);
    const uint32_t covered = ready_old - std::min(ready_old, keep);
    // What would be launched if there were room, counting what is leaving already as room to come.
    const auto missing = static_cast<uint32_t>(wanted > planned() ? wanted - planned() : 0);
    const size_t remaining = planned() + old_.size();
    const auto room = limit.capacity > remaining ? static_cast<uint32_t>(limit.capacity - remaining) : 0;
    uint32_t in_the_way = missing > room ? missing - room : 0;
    if (dying_.empty()) in_the_way = std::max(in_the_way, not_placed_);
    const uint32_t ready = ready_new + ready_old;
    const uint32_t allowed = ready - std::min(ready, limit.min_healthy);
    kill_some(old_, std::min(allowed, std::max(covered, in_the_way)), why);
}

void AppPlan::wait(WhyNot::Kind kind, std::string text, uint32_t missing) {
    WhyNot why;
    why.kind = kind;
    why.text = std::move(text);
    why.missing = missing;
    round_.decision.waiting[app_.id()] = std::move(why);
}

}  // namespace smackd::apps
