#include "tests/unit/core/apps/cluster.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <format>

#include "core/marathon/app_json.h"
#include "core/units.h"

namespace smackd::apps {

namespace {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

}  // namespace

Node& Cluster::add_node(const std::string& machine, uint64_t cpus,
                        std::map<std::string, std::string> attributes) {
    Node node;
    node.id = core::NodeId{nodes.size() + 1};
    node.machine = machine;
    node.address = std::format("10.0.0.{}", nodes.size() + 1);
    node.attributes = std::move(attributes);
    node.total.set_cpus_milli(cpus * 1000);
    node.total.set_memory_bytes(cpus * core::kGiB);
    node.total.set_disk_bytes(cpus * core::kGiB);
    nodes.push_back(std::move(node));
    return nodes.back();
}

wire::AppDefinition Cluster::app(const std::string& json) {
    auto read = marathon::app_from_json(*core::Json::parse(json), {});
    INFO(json);
    INFO((read ? "" : read.error().to_string()));
    REQUIRE(read);
    return *read;
}

int64_t Cluster::next_version() {
    return last_version_ms_ = std::max(now_ms, last_version_ms_ + 1);
}

void Cluster::put(wire::AppDefinition app, bool restart) {
    put_all({std::move(app)}, restart);
}

void Cluster::put_all(std::vector<wire::AppDefinition> list, bool restart) {
    Apps after = apps;
    const int64_t version = next_version();
    for (wire::AppDefinition& app : list) {
        const auto current = apps.find(app.id());
        stamp(app, current == apps.end() ? nullptr : &current->second, version, restart);
        after[app.id()] = app;
    }
    replace(std::move(after));
}

void Cluster::remove(const std::string& id) {
    Apps after = apps;
    after.erase(id);
    replace(std::move(after));
}

void Cluster::replace(Apps after) {
    const auto deployment =
        plan_deployment(apps, after, groups, {std::format("d{}", ++deployments_made_), now_ms});
    std::vector<const wire::Deployment*> running;
    for (const auto& [id, one] : deployments) running.push_back(&one);
    const std::vector<std::string> ids(deployment.affected_apps().begin(), deployment.affected_apps().end());
    for (const std::string& id : conflicts(running, ids)) deployments.erase(id);
    apps = std::move(after);
    deployments[deployment.id()] = deployment;
}

View Cluster::view() {
    View view;
    for (const auto& [id, app] : apps) view.apps.push_back(&app);
    for (const auto& [id, task] : task_rows) view.tasks.push_back(&task);
    for (const auto& [id, deployment] : deployments) view.deployments.push_back(&deployment);
    for (const auto& [id, backoff] : backoffs) view.backoffs.push_back(&backoff);
    view.nodes = nodes;
    view.leases_over = leases.over(view.tasks, core::Instant{core::milliseconds(now_ms)});
    return view;
}

void Cluster::tick() {
    last = decide(view(), parameters, now_ms, random);
    for (const Action& action : last.actions) apply(action);
    now_ms += 1000;
    for (auto& [id, task] : task_rows) advance(task);
}

void Cluster::run(int ticks) {
    for (int i = 0; i < ticks; ++i) tick();
}

int Cluster::settle(int ticks) {
    for (int i = 0; i < ticks; ++i) {
        if (deployments.empty()) return i;
        tick();
    }
    return -1;
}

void Cluster::apply(const Action& action) {
    std::visit(Overloaded{
                   [&](const LaunchTask& a) {
                       REQUIRE_FALSE(task_rows.contains(a.task.id()));
                       task_rows[a.task.id()] = a.task;
                       log.push_back(std::format("launch {} on {}", a.task.app_id(), a.task.machine()));
                   },
                   [&](const KillTask& a) {
                       REQUIRE(task_rows.contains(a.task.id()));
                       REQUIRE(task_rows[a.task.id()].desired() == wire::Task::RUN);
                       task_rows[a.task.id()] = a.task;
                       log.push_back(std::format("kill {} on {}: {}", a.task.app_id(), a.task.machine(),
                                                 a.task.kill_reason()));
                   },
                   [&](const CountEnd& a) { task_rows[a.task.id()].set_counted(true); },
                   [&](const SetStatus& a) {
                       *task_rows[a.task_id].mutable_status() = a.status;
                       log.push_back("status " + task_rows[a.task_id].app_id() + " " + a.status.message());
                   },
                   [&](const ForgetTask& a) { REQUIRE(task_rows.erase(a.task_id) == 1); },
                   [&](const SetBackoff& a) { backoffs[a.backoff.app_id()] = a.backoff; },
                   [&](const UpdateDeployment& a) {
                       deployments[a.deployment.id()] = a.deployment;
                       log.push_back(std::format("step {}", a.deployment.current_step()));
                   },
                   [&](const FinishDeployment& a) {
                       deployments.erase(a.id);
                       log.push_back("finished " + a.id);
                   },
                   [&](const RollBack& a) { log.push_back("roll back " + a.id); },
                   [&](const HoldReplacement&) { log.push_back("hold"); },
               },
               action);
}

bool Cluster::is_up(uint64_t node_id) const {
    return std::ranges::any_of(nodes, [&](const Node& node) {
        return node.id.value == node_id && node.liveness != Liveness::kUnreachable &&
               node.liveness != Liveness::kGone;
    });
}

void Cluster::advance(wire::Task& task) {
    if (has_ended(task) || !is_up(task.node_id())) return;
    wire::TaskStatus& status = *task.mutable_status();
    if (task.desired() == wire::Task::KILL) {
        if (now_ms < task.kill_ms() + kill_ticks * 1000) return;
        status.set_state(wire::TASK_KILLED);
        status.set_ended_ms(now_ms);
        return;
    }
    if (status.state() == wire::TASK_UNREACHABLE) {
        status.set_state(wire::TASK_RUNNING);
        status.clear_unreachable_ms();
        return;
    }
    if (status.state() == wire::TASK_RUNNING || now_ms < task.staged_ms() + start_ticks * 1000) return;
    status.set_state(wire::TASK_RUNNING);
    status.set_started_ms(now_ms);
    const auto found = apps.find(task.app_id());
    for (int i = 0; found != apps.end() && i < found->second.health_checks_size(); ++i)
        status.add_health()->set_alive(true);
    status.set_ready(true);
    if (on_start) on_start(task);
}

std::vector<const wire::Task*> Cluster::tasks(const std::string& app_id, bool ended) const {
    std::vector<const wire::Task*> found;
    for (const auto& [id, task] : task_rows) {
        if (task.app_id() == app_id && has_ended(task) == ended) found.push_back(&task);
    }
    return found;
}

size_t Cluster::running(const std::string& app_id) const {
    const auto list = tasks(app_id);
    return static_cast<size_t>(std::ranges::count_if(
        list, [](const wire::Task* task) { return task->status().state() == wire::TASK_RUNNING; }));
}

std::map<std::string, uint32_t> Cluster::per_machine(const std::string& app_id) const {
    std::map<std::string, uint32_t> counts;
    for (const wire::Task* task : tasks(app_id)) ++counts[task->machine()];
    return counts;
}

const wire::Task& Cluster::only(const std::string& app_id) const {
    const auto list = tasks(app_id);
    REQUIRE(list.size() == 1);
    return *list[0];
}

}  // namespace smackd::apps
