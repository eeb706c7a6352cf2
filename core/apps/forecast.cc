#include "core/apps/forecast.h"

#include <algorithm>
#include <set>

namespace smackd::apps {

using wire::Task;

namespace {

/// The state of a view as decide() changes it, and what its nodes do meanwhile.
class Future {
 public:
    explicit Future(const View& view) : apps_(view.apps), nodes_(view.nodes), leases_over_(view.leases_over) {
        for (const Task* task : view.tasks) tasks_[task->id()] = *task;
        for (const wire::Deployment* one : view.deployments) deployments_[one->id()] = *one;
        for (const wire::AppBackoff* one : view.backoffs) backoffs_[one->app_id()] = *one;
        for (const wire::AppDefinition* app : apps_) need_checks(*app);
        for (const auto& [id, deployment] : deployments_) {
            for (const wire::AppDefinition& app : deployment.before()) need_checks(app);
        }
        for (const Node& node : nodes_) {
            if (node.liveness == Liveness::kAlive || node.liveness == Liveness::kSuspect)
                reachable_.insert(node.id.value);
        }
    }

    View view() const {
        View view;
        view.apps = apps_;
        view.nodes = nodes_;
        view.leases_over = leases_over_;
        for (const auto& [id, task] : tasks_) view.tasks.push_back(&task);
        for (const auto& [id, deployment] : deployments_) view.deployments.push_back(&deployment);
        for (const auto& [id, backoff] : backoffs_) view.backoffs.push_back(&backoff);
        return view;
    }
    const std::map<std::string, Task>& tasks() const { return tasks_; }

    /// False when the action leaves everything as it is.
    bool operator()(const LaunchTask& launch) { return put(launch.task); }
    bool operator()(const KillTask& kill) { return put(kill.task); }
    bool operator()(const CountEnd& count) { return put(count.task); }
    bool operator()(const SetStatus& set) {
        const auto found = tasks_.find(set.task_id);
        if (found != tasks_.end()) *found->second.mutable_status() = set.status;
        return found != tasks_.end();
    }
    bool operator()(const ForgetTask& forget) { return tasks_.erase(forget.task_id) > 0; }
    bool operator()(const SetBackoff& set) {
        backoffs_[set.backoff.app_id()] = set.backoff;
        return true;
    }
    bool operator()(const UpdateDeployment& update) {
        deployments_[update.deployment.id()] = update.deployment;
        return true;
    }
    bool operator()(const FinishDeployment& finish) { return deployments_.erase(finish.id) > 0; }
    // People and other rows come into these; what is foreseen ends here.
    bool operator()(const RollBack&) { return false; }
    bool operator()(const HoldReplacement&) { return false; }

    /// The nodes that answer do what is asked of them. False when there was nothing to do.
    bool play(int64_t now_ms) {
        bool moved = false;
        for (auto at = tasks_.begin(); at != tasks_.end();) {
            Task& task = at->second;
            if (has_ended(task) || !reachable_.contains(task.node_id())) {
                ++at;
            } else if (task.desired() == Task::KILL) {
                moved = true;
                at = end(at, now_ms);
            } else {
                moved |= become_ready(task, now_ms);
                ++at;
            }
        }
        return moved;
    }

 private:
    using Tasks = std::map<std::string, Task>;

    bool put(const Task& task) {
        tasks_[task.id()] = task;
        return true;
    }
    void need_checks(const wire::AppDefinition& app) {
        int& checks = checks_[app.id()];
        checks = std::max(checks, app.health_checks_size());
    }
    /// The row stays where its volumes wait for the next task.
    Tasks::iterator end(Tasks::iterator at, int64_t now_ms) {
        Task& task = at->second;
        if (task.volumes_size() == 0 || task.wipe()) return tasks_.erase(at);
        task.mutable_status()->set_state(wire::TASK_KILLED);
        task.mutable_status()->set_ended_ms(now_ms);
        return std::next(at);
    }
    bool become_ready(Task& task, int64_t now_ms) {
        wire::TaskStatus& status = *task.mutable_status();
        const auto found = checks_.find(task.app_id());
        const int checks = found == checks_.end() ? 0 : found->second;
        const bool alive = status.health_size() >= checks &&
                           std::ranges::all_of(status.health(), [](const auto& one) { return one.alive(); });
        if (status.state() == wire::TASK_RUNNING && alive && status.ready()) return false;
        status.set_state(wire::TASK_RUNNING);
        if (status.started_ms() == 0) status.set_started_ms(now_ms);
        status.clear_unreachable_ms();
        status.clear_health();
        for (int i = 0; i < checks; ++i) status.add_health()->set_alive(true);
        status.set_ready(true);
        return true;
    }

    std::vector<const wire::AppDefinition*> apps_;
    std::vector<Node> nodes_;
    std::set<std::string> leases_over_;
    Tasks tasks_;
    std::map<std::string, wire::Deployment> deployments_;
    std::map<std::string, wire::AppBackoff> backoffs_;
    std::map<std::string, int> checks_;  // the most that a definition of the app wants
    std::set<uint64_t> reachable_;
};

bool counts(const Task& task, const std::string& app_id) {
    return task.app_id() == app_id && !has_ended(task) && task.desired() == Task::RUN;
}

void compare(const View& before, const std::map<std::string, Task>& after, const std::string& app_id,
             Forecast& result) {
    std::set<std::string> ran;
    for (const Task* task : before.tasks) {
        if (!counts(*task, app_id)) continue;
        ran.insert(task->id());
        ++result.nodes[task->machine()].now;
    }
    for (const auto& [id, task] : after) {
        if (!counts(task, app_id)) continue;
        ++result.nodes[task.machine()].then;
        ++(ran.contains(id) ? result.kept : result.started);
    }
    result.stopped = static_cast<uint32_t>(ran.size()) - result.kept;
}

}  // namespace

Forecast forecast(const View& view, const Parameters& parameters, int64_t now_ms, const std::string& app_id) {
    Forecast result;
    Future future(view);
    // For ids and ports, which nobody is told; the ids must be no task's.
    core::SeededRandom random(static_cast<uint64_t>(now_ms));
    for (uint64_t rows = 0;;) {
        const Decision decision = decide(future.view(), parameters, now_ms, random);
        rows += future.tasks().size() + decision.actions.size() * (1 + view.nodes.size());
        bool moved = false;
        for (const Action& action : decision.actions) moved |= std::visit(future, action);
        moved |= future.play(now_ms);
        ++now_ms;
        if (moved && rows < kForecastRowsMax) continue;
        result.complete = !moved;
        if (const auto found = decision.waiting.find(app_id); found != decision.waiting.end())
            result.waiting = found->second;
        break;
    }
    compare(view, future.tasks(), app_id, result);
    return result;
}

}  // namespace smackd::apps
