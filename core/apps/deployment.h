// From a change of definitions to a deployment: what starts, stops, scales and restarts, in which order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/apps/dependencies.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// Fills in the version fields of `wanted` as the successor of `current` (null: a new app). `now_ms` must be
/// above every version given before; `restart` makes all tasks old.
void stamp(wire::AppDefinition& wanted, const wire::AppDefinition* current, int64_t now_ms,
           bool restart = false);
/// `target`, an earlier definition, as the successor of `current` (null: it was removed): tasks of the
/// target's configuration stay current.
wire::AppDefinition rolled_back(const wire::AppDefinition& target, const wire::AppDefinition* current,
                                int64_t now_ms);

/// Whether running tasks must be replaced to be as `after` says: something they see differs
/// (docs/marathon.md).
bool needs_restart(const wire::AppDefinition& before, const wire::AppDefinition& after);
/// Equal but for the version fields.
bool same_definition(const wire::AppDefinition& a, const wire::AppDefinition& b);

struct DeploymentRequest {
    std::string id;  ///< UUID
    int64_t now_ms = 0;
    bool force = false;
    int64_t deadline_ms = 0;  ///< absolute; 0: from the apps' upgrade strategies
};

/// The deployment from `before` to `after` (whole trees, stamped; apps that are the same are not part of it).
/// Steps: stop what is gone; start what is new, at 0; then a step per layer of dependencies. Without any
/// difference it has no steps and is done at once.
wire::Deployment plan_deployment(const Apps& before, const Apps& after, const Groups& groups_after,
                                 const DeploymentRequest& request);

/// Ids of the deployments that hold one of these apps: 409 unless forced, and then they are cancelled. Failed
/// ones hold nothing.
std::vector<std::string> conflicts(std::span<const wire::Deployment* const> deployments,
                                   std::span<const std::string> app_ids);

/// What the step `deployment.current_step` makes of an app.
struct AppRole {
    bool held = false;                            ///< its step has not come: it stays as it was before
    bool rolling = false;                         ///< tasks of older configurations are replaced
    const wire::AppDefinition* before = nullptr;  ///< null: it is new
};
/// For one of the affected apps of a running deployment.
AppRole role_in(const wire::Deployment& deployment, const std::string& app_id);

}  // namespace smackd::apps
