// Marathon's group JSON <-> the flat set of apps and groups.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/marathon/problem.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

inline constexpr size_t kGroupDepthMax = 16;
inline constexpr size_t kGroupAppsMax = 10'000;

/// Everything below one group (the root: everything), by absolute id. Groups that only exist as the parents
/// of others may be missing from `groups`; `ensure_parents` adds them.
struct Tree {
    std::map<std::string, wire::AppDefinition> apps;
    std::map<std::string, wire::GroupDefinition> groups;
    bool operator==(const Tree&) const = delete;
};

struct GroupUpdate {
    enum class Kind { kReplace, kScale, kRollback };
    Kind kind = Kind::kReplace;
    double scale_by = 1;     ///< kScale: instances = ceil(instances * scale_by)
    int64_t version_ms = 0;  ///< kRollback
    Tree tree;               ///< kReplace: what `current` becomes, whole
};

/// POST (`current` has no such group) and PUT of /v2/groups/{id}: the given `apps`, `groups`, `dependencies`
/// replace those of the group, what is not given stays. Ids are relative to the group that holds them.
/// `current` is the whole tree and `GroupUpdate::tree` is too. scaleBy and version must stand alone.
Checked<GroupUpdate> group_from_json(const core::Json& json, const std::string& group_id,
                                     const Tree& current);

/// Rules between apps: no id is an app and a group, dependencies exist as far as they can be told, no cycles.
Checked<void> check_tree(const Tree& tree);

/// The group as GET prints it, nested; `app_json` prints one app (so that counts and tasks can be embedded).
struct GroupEmbed {
    bool groups = true;
    bool apps = true;
    bool pods = true;
};
using AppPrinter = core::Json (*)(const void* context, const wire::AppDefinition& app);
std::optional<core::Json> group_to_json(const Tree& tree, const std::string& group_id, GroupEmbed embed,
                                        AppPrinter app_json, const void* context);

/// Groups of every app's and group's path, the root included, that are not there yet.
void ensure_parents(Tree& tree, int64_t version_ms);

}  // namespace smackd::marathon
