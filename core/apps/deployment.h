// From a change of definitions to a deployment: what starts, stops, scales and restarts, in which order.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/wire/app.pb.h"

namespace smackd::apps {

using Apps = std::map<std::string, wire::AppDefinition>;  ///< by id
using Groups = std::map<std::string, wire::GroupDefinition>;

/// Fills in the version fields of `wanted` as the successor of `current` (null: a new app). `now_ms` must be
/// above every version given before; `restart` makes all tasks old.
void stamp(wire::AppDefinition& wanted, const wire::AppDefinition* current, int64_t now_ms,
           bool restart = false);
/// For a rollback to `target`: as stamp, but tasks of the target's configuration stay current.
void stamp_rollback(wire::AppDefinition& wanted, const wire::AppDefinition& target,
                    const wire::AppDefinition* current, int64_t now_ms);

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

/// The deployment from `before` to `after` (whole trees; apps that are the same are not part of it). Steps:
/// stop what is gone; then a step per layer of dependencies. Without any difference it has no steps and is
/// done at once.
wire::Deployment plan_deployment(const Apps& before, const Apps& after, const Groups& groups,
                                 const DeploymentRequest& request);

/// Ids of the running deployments that hold one of these apps: 409 unless forced, and then they are
/// cancelled.
std::vector<std::string> conflicts(std::span<const wire::Deployment* const> running,
                                   std::span<const std::string> app_ids);

/// Layers of apps by dependencies: each app after those it depends on (group ids stand for all their apps).
/// Apps of a cycle, which check_tree refuses, come last.
std::vector<std::vector<std::string>> dependency_layers(const Apps& apps, const Groups& groups);

}  // namespace smackd::apps
