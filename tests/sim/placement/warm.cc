// A planner that is told of changes beside decide(), which looks at everything.
#include <algorithm>
#include <array>
#include <format>
#include <map>
#include <string>
#include <vector>

#include "core/apps/deployment.h"
#include "core/apps/leases.h"
#include "core/apps/planner.h"
#include "core/random.h"
#include "core/units.h"
#include "tests/sim/placement/cases.h"

namespace smackd::sim::placement {

using apps::Node;
using wire::Task;

namespace {

constexpr int kSteps = 40;

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

std::string text_of(const apps::Action& action) {
    return std::visit(
        Overloaded{
            [](const apps::LaunchTask& one) { return "launch " + one.task.SerializeAsString(); },
            [](const apps::KillTask& one) { return "kill " + one.task.SerializeAsString(); },
            [](const apps::CountEnd& one) { return "count " + one.task.SerializeAsString(); },
            [](const apps::SetStatus& one) {
                return "status " + one.task_id + one.status.SerializeAsString();
            },
            [](const apps::ForgetTask& one) { return "forget " + one.task_id; },
            [](const apps::SetBackoff& one) { return "backoff " + one.backoff.SerializeAsString(); },
            [](const apps::UpdateDeployment& one) {
                return "deployment " + one.deployment.SerializeAsString();
            },
            [](const apps::FinishDeployment& one) { return "finish " + one.id; },
            [](const apps::RollBack& one) { return "back " + one.id; },
            [](const apps::HoldReplacement& one) {
                return std::format("hold {} {}", one.outage.unreachable, one.outage.nodes);
            },
        },
        action);
}

class Life {
 public:
    explicit Life(uint64_t seed) : random_(seed), planner_(parameters()) {
        for (uint64_t i = random_.between(1, 6); i > 0; --i) add_node();
        for (uint64_t i = random_.between(1, 4); i > 0; --i) change_app();
    }

    std::string live(Counts& counts) {
        for (int step = 0; step < kSteps; ++step) {
            now_ms_ +=
                static_cast<int64_t>(random_.one_in(20) ? random_.below(4'000'000) : random_.below(2'000));
            for (uint64_t i = random_.below(3); i > 0; --i) happen();
            ++counts.steps;
            if (std::string wrong = decide(step); !wrong.empty()) return wrong;
        }
        return {};
    }

 private:
    static apps::Parameters parameters() {
        apps::Parameters few;  // so that limits are met
        few.launches_max = 4;
        few.kills_max = 3;
        few.replacements_per_s = 2;
        few.ended_kept_max = 2;
        return few;
    }

    apps::View view(const std::set<std::string>& leases_over) const {
        apps::View view;
        for (const auto& [id, row] : apps_) view.apps.push_back(&row);
        for (const auto& [id, row] : tasks_) view.tasks.push_back(&row);
        for (const auto& [id, row] : deployments_) view.deployments.push_back(&row);
        for (const auto& [id, row] : backoffs_) view.backoffs.push_back(&row);
        for (const auto& [id, node] : nodes_) view.nodes.push_back(node);
        view.leases_over = leases_over;
        return view;
    }

    std::string decide(int step) {
        const core::Instant now{core::milliseconds(now_ms_)};
        std::vector<const Task*> all;
        for (const auto& [id, row] : tasks_) all.push_back(&row);
        const std::set<std::string> over = cold_leases_.over(all, now);
        core::SeededRandom cold_random = random_;
        core::SeededRandom warm_random = random_;
        const apps::Decision cold = apps::decide(view(over), parameters(), now_ms_, cold_random);
        planner_.set_leases_over(warm_leases_.over(planner_.leased_unreachable(), now));
        const apps::Decision warm = planner_.decide(now_ms_, warm_random);
        random_ = cold_random;
        // "At once" may be for an app that finds no place: the cold one meets the limit of launches before it
        // looks for one.
        if (cold.next_ms != warm.next_ms && cold.next_ms != now_ms_ + 1)
            return std::format("step {}: asked again at {} instead of {}", step, warm.next_ms, cold.next_ms);
        for (size_t i = 0; i < std::max(cold.actions.size(), warm.actions.size()); ++i) {
            const std::string left = i < cold.actions.size() ? text_of(cold.actions[i]) : "nothing";
            const std::string right = i < warm.actions.size() ? text_of(warm.actions[i]) : "nothing";
            if (left != right)
                return std::format("step {}: action {} is '{}' instead of '{}'", step, i, right.substr(0, 60),
                                   left.substr(0, 60));
        }
        const bool all_refused = random_.one_in(10);
        for (const apps::Action& action : cold.actions) {
            if (!all_refused && !random_.one_in(10))
                std::visit([this](const auto& one) { carry_out(one); }, action);
        }
        return {};
    }

    void carry_out(const apps::LaunchTask& one) { put(one.task); }
    void carry_out(const apps::KillTask& one) { put_if_there(one.task); }
    void carry_out(const apps::CountEnd& one) { put_if_there(one.task); }
    void carry_out(const apps::SetStatus& one) {
        const auto found = tasks_.find(one.task_id);
        if (found == tasks_.end()) return;
        *found->second.mutable_status() = one.status;
        planner_.put_task(found->second);
    }
    void carry_out(const apps::ForgetTask& one) {
        tasks_.erase(one.task_id);
        planner_.remove_task(one.task_id);
    }
    void carry_out(const apps::SetBackoff& one) {
        if (apps_.contains(one.backoff.app_id()))
            planner_.put_backoff(backoffs_[one.backoff.app_id()] = one.backoff);
    }
    void carry_out(const apps::UpdateDeployment& one) {
        planner_.put_deployment(deployments_[one.deployment.id()] = one.deployment);
    }
    void carry_out(const apps::FinishDeployment& one) { end_deployment(one.id); }
    void carry_out(const apps::RollBack& one) { end_deployment(one.id); }
    void carry_out(const apps::HoldReplacement&) {}

    void put(const Task& task) { planner_.put_task(tasks_[task.id()] = task); }
    void put_if_there(const Task& task) {
        if (tasks_.contains(task.id())) put(task);
    }
    void end_deployment(const std::string& id) {
        deployments_.erase(id);
        planner_.remove_deployment(id);
    }

    void happen() {
        switch (random_.below(10)) {
            case 0:
                return change_app();
            case 1:
                return remove_app();
            case 2:
                return add_node();
            case 3:
                return change_node();
            case 4:
                return remove_node();
            default:
                return move_task();
        }
    }

    void add_node() {
        Node& node = nodes_[++last_node_];
        node.id = core::NodeId{last_node_};
        node.machine = std::format("n{}", last_node_);
        node.zone = std::format("z{}", random_.below(3));
        node.total.set_cpus_milli(1000 * random_.between(1, 4));
        node.total.set_memory_bytes(core::kMiB * 1024);
        planner_.put_node(node);
    }

    void change_node() {
        const auto found = nodes_.find(random_.between(1, last_node_));
        if (found == nodes_.end()) return;
        Node& node = found->second;
        switch (random_.below(5)) {
            case 0:
                node.total.set_cpus_milli(1000 * random_.between(1, 4));
                break;
            case 1:
                node.draining = !node.draining;
                node.drain_is_over = node.draining && random_.one_in(2);
                break;
            case 2:
                node.drain_changes_ms = random_.one_in(2) ? now_ms_ + 5'000 : 0;
                break;
            default:
                node.liveness = static_cast<apps::Liveness>(random_.below(4));
                node.liveness_since_ms = now_ms_;
        }
        planner_.put_node(node);
    }

    void remove_node() {
        if (!random_.one_in(3)) return;
        const uint64_t id = random_.between(1, last_node_);
        nodes_.erase(id);
        planner_.remove_node(core::NodeId{id});
    }

    /// What a node or a user does to a task.
    void move_task() {
        if (tasks_.empty()) return;
        auto at = tasks_.begin();
        std::advance(at, random_.below(tasks_.size()));
        Task& task = at->second;
        if (apps::has_ended(task)) return;
        constexpr std::array kStates = {wire::TASK_RUNNING,  wire::TASK_RUNNING, wire::TASK_RUNNING,
                                        wire::TASK_FINISHED, wire::TASK_FAILED,  wire::TASK_KILLED};
        wire::TaskStatus& status = *task.mutable_status();
        status.set_state(kStates[random_.below(kStates.size())]);
        status.clear_unreachable_ms();
        if (apps::has_ended(task)) status.set_ended_ms(now_ms_);
        status.clear_health();
        wire::HealthResult& health = *status.add_health();
        health.set_alive(!random_.one_in(5));
        if (!health.alive()) health.set_consecutive_failures(5);
        if (random_.one_in(10)) task.set_desired(Task::KILL);
        planner_.put_task(task);
    }

    wire::AppDefinition definition(const std::string& id) {
        wire::AppDefinition app;
        app.set_id(id);
        app.set_cmd(std::format("v{}", random_.below(3)));
        app.set_instances(static_cast<uint32_t>(random_.below(8)));
        app.mutable_resources()->set_cpus_milli(100 * random_.between(1, 12));
        app.mutable_resources()->set_memory_bytes(core::kMiB * 32);
        app.set_role("*");
        app.mutable_upgrade()->set_minimum_health_capacity(static_cast<double>(random_.below(3)) / 2);
        app.mutable_upgrade()->set_maximum_over_capacity(static_cast<double>(random_.below(3)) / 2);
        if (random_.one_in(3)) app.mutable_upgrade()->set_deadline_ms(20'000);
        app.set_backoff_ms(1000);
        app.set_backoff_factor(2);
        app.set_backoff_max_ms(60'000);
        app.mutable_unreachable()->set_inactive_after_ms(static_cast<int64_t>(random_.below(2) * 3'000));
        app.mutable_unreachable()->set_expunge_after_ms(10'000);
        if (random_.one_in(3)) app.add_health_checks()->set_max_consecutive_failures(2);
        if (random_.one_in(4)) {
            wire::Label& label = *app.add_labels();
            label.set_key("MARATHON_SINGLE_INSTANCE_APP");
            label.set_value("true");
        }
        if (random_.one_in(5)) {
            wire::Volume& volume = *app.mutable_container()->add_volumes();
            volume.set_container_path("data");
            volume.mutable_persistent()->set_size_bytes(core::kMiB);
        }
        if (random_.one_in(2)) {
            constexpr std::array kOperators = {wire::Constraint::UNIQUE, wire::Constraint::GROUP_BY,
                                               wire::Constraint::CLUSTER, wire::Constraint::MAX_PER};
            wire::Constraint& constraint = *app.add_constraints();
            constraint.set_field(random_.one_in(2) ? "hostname" : "@zone");
            constraint.set_op(kOperators[random_.below(kOperators.size())]);
            if (constraint.op() == wire::Constraint::MAX_PER) constraint.set_value("2");
        }
        if (random_.one_in(3)) app.add_dependencies(id == "/app0" ? "/app1" : "/app0");
        return app;
    }

    /// One or two apps, by one deployment; one that holds them is given up.
    void change_app() {
        apps::Apps after = apps_;
        const int64_t version = now_ms_ = now_ms_ + 1;
        for (uint64_t i = random_.between(1, 2); i > 0; --i) {
            wire::AppDefinition app = definition(std::format("/app{}", random_.below(6)));
            const auto current = apps_.find(app.id());
            apps::stamp(app, current == apps_.end() ? nullptr : &current->second, version, random_.one_in(4));
            after[app.id()] = std::move(app);
        }
        replace(after);
    }

    void remove_app() {
        apps::Apps after = apps_;
        if (!after.empty()) after.erase(after.begin());
        replace(after);
    }

    void replace(const apps::Apps& after) {
        wire::Deployment deployment = apps::plan_deployment(
            apps_, after, {}, {.id = std::format("d{}", ++deployments_made_), .now_ms = now_ms_});
        deployment.set_rollback_on_deadline(random_.one_in(2));
        const std::vector<std::string> affected(deployment.affected_apps().begin(),
                                                deployment.affected_apps().end());
        std::vector<const wire::Deployment*> running;
        for (const auto& [id, row] : deployments_) running.push_back(&row);
        for (const std::string& id : apps::conflicts(running, affected)) end_deployment(id);
        for (const std::string& id : affected) {
            if (const auto found = after.find(id); found != after.end()) {
                planner_.put_app(apps_[id] = found->second);
                continue;
            }
            apps_.erase(id);
            planner_.remove_app(id);
            backoffs_.erase(id);
            planner_.remove_backoff(id);
        }
        planner_.put_deployment(deployments_[deployment.id()] = deployment);
    }

    core::SeededRandom random_;
    apps::Planner planner_;
    apps::LeaseWatch cold_leases_;
    apps::LeaseWatch warm_leases_;
    apps::Apps apps_;
    std::map<std::string, Task> tasks_;
    std::map<std::string, wire::Deployment> deployments_;
    std::map<std::string, wire::AppBackoff> backoffs_;
    std::map<uint64_t, Node> nodes_;
    uint64_t last_node_ = 0;
    uint64_t deployments_made_ = 0;
    int64_t now_ms_ = 1'000'000;
};

}  // namespace

std::string check_warm(uint64_t seed, Counts& counts) {
    return Life(seed).live(counts);
}

}  // namespace smackd::sim::placement
