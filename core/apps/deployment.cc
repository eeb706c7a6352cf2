#include "core/apps/deployment.h"

#include <algorithm>
#include <set>

#include "core/wire/serialize.h"

namespace smackd::apps {

using wire::AppDefinition;
using wire::Deployment;
using wire::DeploymentAction;

namespace {

AppDefinition without_versions(AppDefinition app) {
    app.clear_version_ms();
    app.clear_config_version_ms();
    app.clear_last_scaling_ms();
    app.clear_last_config_change_ms();
    return app;
}

/// What tasks see of it, at their start or later. The rest is for smackd alone and follows without a restart.
AppDefinition seen_by_tasks(const AppDefinition& app) {
    AppDefinition seen = without_versions(app);
    seen.clear_instances();
    seen.clear_labels();
    seen.clear_health_checks();
    seen.clear_check();
    seen.clear_readiness_checks();
    seen.clear_upgrade();
    seen.clear_backoff_ms();
    seen.clear_backoff_factor();
    seen.clear_backoff_max_ms();
    seen.clear_constraints();
    seen.clear_accepted_roles();
    seen.clear_dependencies();
    seen.clear_kill_grace_ms();
    seen.clear_kill_selection();
    seen.clear_unreachable();
    seen.clear_tenant();
    const bool host = app.networks_size() > 0 && app.networks(0).mode() == wire::NETWORK_HOST;
    for (wire::Port& port : *seen.mutable_ports()) {
        port.clear_labels();
        // In host mode it is the number a task asked for, and stands in its environment.
        if (!host) port.clear_service_port();
    }
    return seen;
}

bool is_same(const AppDefinition& a, const AppDefinition& b) {
    return same_definition(a, b) && a.config_version_ms() == b.config_version_ms();
}

DeploymentAction action_of(const AppDefinition* before, const AppDefinition& after) {
    if (before == nullptr) return wire::ACTION_SCALE;
    if (after.instances() == 0 && before->instances() > 0) return wire::ACTION_SCALE;
    if (before->config_version_ms() != after.config_version_ms()) return wire::ACTION_RESTART;
    return before->instances() != after.instances() ? wire::ACTION_SCALE : wire::ACTION_DESCRIBE;
}

const AppDefinition* find(const Apps& apps, const std::string& id) {
    const auto found = apps.find(id);
    return found == apps.end() ? nullptr : &found->second;
}

void add_entry(wire::DeploymentStep& step, DeploymentAction action, const std::string& id) {
    wire::DeploymentStep::Entry& entry = *step.add_entries();
    entry.set_action(action);
    entry.set_app_id(id);
}

class Planner {
 public:
    Planner(const Apps& before, const Apps& after) : before_(before), after_(after) {
        for (const auto& [id, app] : before) {
            const AppDefinition* now = find(after, id);
            if (now == nullptr || !is_same(app, *now)) affected_.insert(id);
        }
        for (const auto& [id, app] : after) {
            if (!before.contains(id)) affected_.insert(id);
        }
    }

    void fill(const Groups& groups, Deployment& deployment) const {
        wire::DeploymentStep stop;
        wire::DeploymentStep start;
        for (const std::string& id : affected_) {
            deployment.add_affected_apps(id);
            if (const AppDefinition* app = find(before_, id)) *deployment.add_before() = *app;
            if (!after_.contains(id)) add_entry(stop, wire::ACTION_STOP, id);
            if (!before_.contains(id)) add_entry(start, wire::ACTION_START, id);
        }
        add_step(std::move(stop), deployment);
        add_step(std::move(start), deployment);
        Order order = dependency_order(after_, groups);
        order.layers.push_back(std::move(order.cyclic));
        for (const auto& layer : order.layers) {
            wire::DeploymentStep step;
            for (const std::string& id : layer) {
                if (affected_.contains(id)) add_entry(step, action_of(find(before_, id), after_.at(id)), id);
            }
            add_step(std::move(step), deployment);
        }
    }

    /// The longest of the affected apps' deadlines; 0: none.
    int64_t deadline_after_ms() const {
        int64_t longest = 0;
        for (const std::string& id : affected_) {
            if (const AppDefinition* app = find(after_, id))
                longest = std::max(longest, app->upgrade().deadline_ms());
        }
        return longest;
    }
    bool rollback_on_deadline() const {
        return std::ranges::any_of(affected_, [&](const std::string& id) {
            const AppDefinition* app = find(after_, id);
            return app != nullptr && app->upgrade().rollback_on_deadline();
        });
    }

 private:
    static void add_step(wire::DeploymentStep step, Deployment& deployment) {
        if (step.entries_size() > 0) *deployment.add_steps() = std::move(step);
    }

    const Apps& before_;
    const Apps& after_;
    std::set<std::string> affected_;
};

}  // namespace

bool needs_restart(const AppDefinition& before, const AppDefinition& after) {
    return wire::serialize(seen_by_tasks(before)) != wire::serialize(seen_by_tasks(after));
}

bool same_definition(const AppDefinition& a, const AppDefinition& b) {
    return wire::serialize(without_versions(a)) == wire::serialize(without_versions(b));
}

void stamp(AppDefinition& wanted, const AppDefinition* current, int64_t now_ms, bool restart) {
    wanted.set_version_ms(now_ms);
    const bool config = current == nullptr || restart || needs_restart(*current, wanted);
    wanted.set_config_version_ms(config ? now_ms : current->config_version_ms());
    wanted.set_last_config_change_ms(config ? now_ms : current->last_config_change_ms());
    const bool scaled = config || current->instances() != wanted.instances();
    wanted.set_last_scaling_ms(scaled ? now_ms : current->last_scaling_ms());
}

AppDefinition rolled_back(const AppDefinition& target, const AppDefinition* current, int64_t now_ms) {
    AppDefinition wanted = target;
    stamp(wanted, current, now_ms);
    wanted.set_config_version_ms(target.config_version_ms());
    return wanted;
}

Deployment plan_deployment(const Apps& before, const Apps& after, const Groups& groups_after,
                           const DeploymentRequest& request) {
    const Planner planner(before, after);
    Deployment deployment;
    deployment.set_id(request.id);
    deployment.set_version_ms(request.now_ms);
    deployment.set_started_ms(request.now_ms);
    deployment.set_forced(request.force);
    planner.fill(groups_after, deployment);
    const int64_t after_ms = planner.deadline_after_ms();
    if (request.deadline_ms > 0) {
        deployment.set_deadline_ms(request.deadline_ms);
    } else if (after_ms > 0) {
        deployment.set_deadline_ms(request.now_ms + after_ms);
    }
    deployment.set_rollback_on_deadline(planner.rollback_on_deadline());
    return deployment;
}

std::vector<std::string> conflicts(std::span<const Deployment* const> deployments,
                                   std::span<const std::string> app_ids) {
    std::vector<std::string> ids;
    for (const Deployment* deployment : deployments) {
        if (deployment->state() == Deployment::FAILED) continue;
        const bool shared = std::ranges::any_of(app_ids, [&](const std::string& id) {
            return std::ranges::contains(deployment->affected_apps(), id);
        });
        if (shared) ids.push_back(deployment->id());
    }
    return ids;
}

AppRole role_in(const Deployment& deployment, const std::string& app_id) {
    AppRole role;
    for (const AppDefinition& app : deployment.before()) {
        if (app.id() == app_id) role.before = &app;
    }
    // An app's last entry is the one that changes it: START only makes it known, at 0 instances.
    for (int step = 0; step < deployment.steps_size(); ++step) {
        for (const wire::DeploymentStep::Entry& entry : deployment.steps(step).entries()) {
            if (entry.app_id() != app_id) continue;
            role.held = static_cast<uint32_t>(step) > deployment.current_step();
            // Also when it only scales: a deployment that was forced over another one finishes what that one
            // began.
            role.rolling = !role.held;
        }
    }
    return role;
}

}  // namespace smackd::apps
