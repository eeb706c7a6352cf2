// A decision as commands.
#include "core/apps/deployment.h"
#include "services/apps/scheduler.h"
#include "storage/state/limits.h"

namespace smackd::services {
namespace {

wire::Command system_command(core::Term term) {
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfApps);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("scheduler");
    command.set_proposer_term(term.value);
    return command;
}

template <class Table>
void expect(wire::Command& command, std::string_view kind, const Table& table, const std::string& key) {
    const auto found = table.find(key);
    wire::Expect* expected = command.add_expected();
    expected->set_kind(std::string(kind));
    expected->set_key(key);
    expected->set_version(found == table.end() ? 0 : found->second.version);
}

/// One action after the other; each is a command of its own, so that one that is refused takes no other
/// along.
struct Translate {
    const AppsModel& model;
    core::Term term;
    int64_t now_ms;
    std::vector<wire::Command>& commands;

    void operator()(const apps::LaunchTask& launch) const {
        wire::Command command = system_command(term);
        // Not of an app that has changed or gone meanwhile.
        expect(command, "app", model.apps, launch.task.app_id());
        *command.add_changes()->mutable_put_task()->mutable_task() = launch.task;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::KillTask& kill) const {
        wire::Command command = system_command(term);
        *command.add_changes()->mutable_put_task()->mutable_task() = kill.task;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::CountEnd& count) const {
        wire::Command command = system_command(term);
        *command.add_changes()->mutable_put_task()->mutable_task() = count.task;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::SetStatus& set) const {
        wire::Command command = system_command(term);
        expect(command, "task", model.tasks, set.task_id);  // what the node says meanwhile counts more
        auto* update = command.add_changes()->mutable_update_task_status();
        update->set_task_id(set.task_id);
        *update->mutable_status() = set.status;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::ForgetTask& forget) const {
        wire::Command command = system_command(term);
        command.add_changes()->mutable_remove_task()->set_id(forget.task_id);
        commands.push_back(std::move(command));
    }
    void operator()(const apps::SetBackoff& set) const {
        wire::Command command = system_command(term);
        expect(command, "app", model.apps, set.backoff.app_id());
        *command.add_changes()->mutable_put_app_backoff()->mutable_backoff() = set.backoff;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::UpdateDeployment& update) const {
        wire::Command command = system_command(term);
        expect(command, "deployment", model.deployments, update.deployment.id());
        *command.add_changes()->mutable_put_deployment()->mutable_deployment() = update.deployment;
        commands.push_back(std::move(command));
    }
    void operator()(const apps::FinishDeployment& finish) const {
        wire::Command command = system_command(term);
        expect(command, "deployment", model.deployments, finish.id);
        command.add_changes()->mutable_remove_deployment()->set_id(finish.id);
        commands.push_back(std::move(command));
    }
    void operator()(const apps::RollBack& back) const {
        const auto found = model.deployments.find(back.id);
        if (found == model.deployments.end()) return;
        wire::Command command = system_command(term);
        expect(command, "deployment", model.deployments, back.id);
        put_back(command, found->second.put, back.reason);
        commands.push_back(std::move(command));
    }
    void operator()(const apps::HoldReplacement&) const {}

    /// The apps as they were before the deployment, and the deployment towards them.
    void put_back(wire::Command& command, const wire::Deployment& failed, const std::string& reason) const {
        apps::Apps now;
        apps::Groups groups;
        for (const auto& [id, row] : model.apps) now[id] = row.put;
        for (const auto& [id, row] : model.groups) groups[id] = row.put;
        apps::Apps wanted = now;
        for (const std::string& id : failed.affected_apps()) wanted.erase(id);
        for (const wire::AppDefinition& before : failed.before()) {
            const auto current = now.find(before.id());
            wanted[before.id()] =
                apps::rolled_back(before, current == now.end() ? nullptr : &current->second, now_ms);
        }
        for (const std::string& id : failed.affected_apps()) {
            if (wanted.contains(id)) {
                *command.add_changes()->mutable_put_app()->mutable_app() = wanted[id];
            } else if (now.contains(id)) {
                command.add_changes()->mutable_remove_app()->set_id(id);
            }
        }
        wire::Deployment deployment =
            apps::plan_deployment(now, wanted, groups, {.id = failed.id(), .now_ms = now_ms, .force = true});
        deployment.set_state(wire::Deployment::ROLLING_BACK);
        deployment.set_message(reason);
        deployment.set_deadline_ms(0);
        deployment.set_rollback_on_deadline(false);
        *command.add_changes()->mutable_put_deployment()->mutable_deployment() = std::move(deployment);
    }
};

}  // namespace

std::vector<wire::Command> commands_of(const apps::Decision& decision, const AppsModel& model,
                                       core::Term term, int64_t now_ms) {
    std::vector<wire::Command> commands;
    const Translate translate{model, term, now_ms, commands};
    for (const apps::Action& action : decision.actions) std::visit(translate, action);
    return commands;
}

}  // namespace smackd::services
