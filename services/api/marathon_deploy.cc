#include "services/api/marathon_deploy.h"

#include <algorithm>

#include "core/apps/service_ports.h"
#include "core/bytes.h"
#include "core/marathon/group_json.h"
#include "net/crypto/random.h"
#include "services/api/marathon_json.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Action;
using core::Errc;
using core::Result;
using marathon::Checked;
using marathon::Problem;

namespace {

constexpr int kForbidden = 403;
constexpr int kConflict = 409;
constexpr int kUnprocessable = 422;

struct Plan {
    wire::Command command;
    Deployed deployed;
};

/// Above every version there is, so that versions rise whatever the clock does.
int64_t next_version(const AppsModel& model, int64_t now_ms) {
    for (const auto& [id, row] : model.apps) now_ms = std::max(now_ms, row.put.version_ms() + 1);
    return now_ms;
}

apps::ServicePorts service_ports(const apps::Apps& apps) {
    apps::ServicePorts taken;
    for (const auto& [id, app] : apps) {
        for (const wire::Port& port : app.ports()) {
            if (port.service_port() != 0) taken.emplace(static_cast<uint16_t>(port.service_port()), id);
            if (port.host_port() != 0) taken.emplace(static_cast<uint16_t>(port.host_port()), id);
        }
    }
    return taken;
}

/// Versions and service ports of everything that differs; leaves the rest as it is.
Checked<std::vector<std::string>> finish(const Call& call, const apps::Apps& before, WantedApps& wanted,
                                         int64_t version_ms) {
    std::vector<std::string> changed;
    for (auto& [id, app] : wanted.apps) {
        const auto found = before.find(id);
        const wire::AppDefinition* current = found == before.end() ? nullptr : &found->second;
        if (auto given = apps::assign_service_ports(app, current, service_ports(wanted.apps)); !given) {
            return std::unexpected(Problem::of(kUnprocessable, given.error().message));
        }
        if (current != nullptr && apps::same_definition(*current, app) && !wanted.restarted.contains(id)) {
            app = *current;
            continue;
        }
        if (auto may = allowed(call, current == nullptr ? Action::kLaunch : Action::kChange, id); !may)
            return std::unexpected(std::move(may.error()));
        const auto target = wanted.rolled_back.find(id);
        if (target != wanted.rolled_back.end()) {
            app = apps::rolled_back(target->second, current, version_ms);
        } else {
            apps::stamp(app, current, version_ms, wanted.restarted.contains(id));
        }
        changed.push_back(id);
    }
    for (const auto& [id, app] : before) {
        if (wanted.apps.contains(id)) continue;
        if (auto may = allowed(call, Action::kKill, id); !may) return std::unexpected(std::move(may.error()));
        changed.push_back(id);
    }
    return changed;
}

void add_group_changes(wire::Command& command, const AppsModel& model, const apps::Groups& wanted,
                       int64_t version_ms) {
    for (const auto& [id, group] : wanted) {
        const auto found = model.groups.find(id);
        if (found != model.groups.end() && found->second.put.SerializeAsString() == group.SerializeAsString())
            continue;
        auto* put = command.add_changes()->mutable_put_app_group()->mutable_group();
        *put = group;
        put->set_version_ms(version_ms);
    }
    for (const auto& [id, row] : model.groups) {
        if (!wanted.contains(id)) command.add_changes()->mutable_remove_app_group()->set_id(id);
    }
}

Checked<void> clear_the_way(wire::Command& command, const AppsModel& model,
                            const std::vector<std::string>& changed, bool force) {
    std::vector<const wire::Deployment*> running;
    for (const auto& [id, row] : model.deployments) running.push_back(&row.put);
    const auto in_the_way = apps::conflicts(running, changed);
    if (in_the_way.empty()) return {};
    if (!force) {
        Problem problem =
            Problem::of(kConflict,
                        "App is locked by one or more deployments. Override with the option '?force=true'. "
                        "View details at '/v2/deployments/<DEPLOYMENT_ID>'.");
        problem.deployments = in_the_way;
        return std::unexpected(std::move(problem));
    }
    for (const std::string& id : in_the_way) command.add_changes()->mutable_remove_deployment()->set_id(id);
    return {};
}

Checked<Plan> plan(const Call& call, const AppsModel& model, AppsEdit& edit, bool force) {
    apps::Apps before;
    WantedApps wanted;
    for (const auto& [id, row] : model.apps) before.emplace(id, row.put);
    for (const auto& [id, row] : model.groups) wanted.groups.emplace(id, row.put);
    wanted.apps = before;
    const int64_t version_ms = next_version(model, call.api.environment.clock.wall().unix_ms);
    if (auto edited = edit(model, wanted); !edited) return std::unexpected(std::move(edited.error()));
    auto changed = finish(call, before, wanted, version_ms);
    if (!changed) return std::unexpected(std::move(changed.error()));
    if (changed->size() > kAppsPerRequestMax) {
        return std::unexpected(
            Problem::of(kUnprocessable, std::format("the request changes {} apps, the limit is {}",
                                                    changed->size(), kAppsPerRequestMax)));
    }
    const marathon::Tree tree{wanted.apps, wanted.groups};
    if (auto checked = marathon::check_tree(tree); !checked)
        return std::unexpected(std::move(checked.error()));

    Plan made;
    made.deployed = {version_ms, new_uuid()};
    made.command = make_command(call);
    made.command.set_feature_level(storage::state::kLevelOfApps);
    if (auto clear = clear_the_way(made.command, model, *changed, force); !clear)
        return std::unexpected(std::move(clear.error()));
    for (const std::string& id : *changed) {
        const auto row = model.apps.find(id);
        wire::Expect* expected = made.command.add_expected();
        expected->set_kind("app");
        expected->set_key(id);
        expected->set_version(row == model.apps.end() ? 0 : row->second.version);
        if (const auto app = wanted.apps.find(id); app != wanted.apps.end()) {
            *made.command.add_changes()->mutable_put_app()->mutable_app() = app->second;
        } else {
            made.command.add_changes()->mutable_remove_app()->set_id(id);
        }
    }
    add_group_changes(made.command, model, wanted.groups, version_ms);
    wire::Deployment deployment =
        apps::plan_deployment(before, wanted.apps, wanted.groups,
                              {.id = made.deployed.deployment, .now_ms = version_ms, .force = force});
    if (deployment.steps_size() > 0)
        *made.command.add_changes()->mutable_put_deployment()->mutable_deployment() = std::move(deployment);
    return made;
}

void record_denied(Call& call, const std::string& message) {
    call.api.record_refusal(RefusalClass::kPolicy, call.principal(), call.request, call.connection,
                            {Errc::kDenied, message, 0});
}

/// Whether the state has moved on meanwhile: somebody else changed the same rows (apply's words for an unmet
/// expectation), or a deployment that was to be cancelled is over.
bool lost_the_race(const core::Error& error) {
    if (error.code == Errc::kNotFound) return error.message.starts_with("DeploymentPlan ");
    return error.code == Errc::kConflict && error.message.contains("read it again and decide anew");
}

/// The plan, or the refusal, which is recorded when it is for want of a right.
Outcome<Plan> plan_or_refuse(Call& call, const AppsModel& model, AppsEdit& edit, bool force) {
    auto made = plan(call, model, edit, force);
    if (made) return std::move(*made);
    if (made.error().status == kForbidden) record_denied(call, made.error().message);
    return std::unexpected(problem_reply(made.error()));
}

}  // namespace

Checked<void> allowed(const Call& call, Action action, const std::string& id) {
    auto granted = call.require(action, id);
    if (granted) return {};
    return std::unexpected(Problem::of(kForbidden, granted.error().message));
}

Checked<void> allowed_to_put(const Call& call, const std::string& id) {
    return call.may(Action::kLaunch, id) ? Checked<void>() : allowed(call, Action::kChange, id);
}

std::string new_uuid() {
    core::Bytes bytes = net::crypto::random_bytes(16);
    bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0fU) | 0x40U);
    bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3fU) | 0x80U);
    std::string text = core::to_hex(bytes);
    for (const size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
    return text;
}

net::Task<Outcome<Deployed>> deploy(Call& call, AppsEdit edit, bool force) {
    for (int attempt = 1;; ++attempt) {
        auto model = co_await call.api.apps.current();
        if (!model) co_return std::unexpected(marathon_error_reply(model.error()));
        auto made = plan_or_refuse(call, **model, edit, force);
        if (!made) co_return std::unexpected(std::move(made.error()));
        if (made->command.changes().empty()) co_return made->deployed;
        auto done = co_await change(call, std::move(made->command),
                                    {.kind = "deployment", .key = made->deployed.deployment});
        if (done) co_return made->deployed;
        if (done.error().code == Errc::kDenied) record_denied(call, done.error().message);
        if (!lost_the_race(done.error()) || attempt == kDeployAttempts)
            co_return std::unexpected(marathon_error_reply(done.error()));
    }
}

net::Task<Outcome<wire::Command>> plan_only(Call& call, AppsEdit edit, bool force) {
    auto model = co_await call.api.apps.current();
    if (!model) co_return std::unexpected(marathon_error_reply(model.error()));
    auto made = plan_or_refuse(call, **model, edit, force);
    if (!made) co_return std::unexpected(std::move(made.error()));
    co_return std::move(made->command);
}

wire::Deployment deployment_in(const wire::Command& command) {
    for (const wire::Change& change : command.changes()) {
        if (change.has_put_deployment()) return change.put_deployment().deployment();
    }
    return {};
}

Checked<wire::AppDefinition> defined_by(const AppsModel& model, const std::string& id, const core::Json& json,
                                        const marathon::AppContext& context, bool partial) {
    const auto current = model.apps.find(id);
    return partial && current != model.apps.end() ? marathon::updated_app(current->second.put, json, context)
                                                  : marathon::app_from_json(json, context);
}

}  // namespace smackd::services
