// Marathon's group JSON <-> the flat set of apps and groups.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/apps/dependencies.h"
#include "core/json.h"
#include "core/marathon/problem.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

inline constexpr size_t kGroupDepthMax = 16;
inline constexpr size_t kGroupAppsMax = 10'000;  ///< in one request

/// All apps and groups, or those below one group, by absolute id. A group that only exists because something
/// is in it may be missing from `groups`: ensure_parents adds it.
struct Tree {
    apps::Apps apps;
    apps::Groups groups;
};

struct GroupUpdate {
    enum class Kind { kReplace, kScale, kRollback };
    Kind kind = Kind::kReplace;
    std::string id;          ///< of the group that was meant, absolute
    double scale_by = 1;     ///< kScale: instances = ceil(instances * scale_by), see scale
    int64_t version_ms = 0;  ///< kRollback: the apps of the group as they were then
    Tree tree;               ///< kReplace and kScale: what `current` becomes, whole
};

/// The body of POST (`create`) and PUT /v2/groups[/{id}]. `group_id` is that of the address, "/" without one;
/// an id in the body is relative to it. The given `apps`, `groups` and `dependencies` replace those of the
/// group; what is not given stays. `version` and `scaleBy` must stand alone. Apps keep the version fields
/// they had; the leader stamps what changed.
///
/// 409 when `create` and the group or an app of its id exists, 404 for scaleBy of a group that does not
/// exist.
Checked<GroupUpdate> group_from_json(const core::Json& json, const std::string& group_id, const Tree& current,
                                     bool create);

/// Rules between apps and groups: no id is both, no app has something below it, no cycle of dependencies.
/// Called by group_from_json; doors that change single apps call it, too.
Checked<void> check_tree(const Tree& tree);

/// The tree without the group and all that is below it; nothing when there is no such group.
std::optional<Tree> without_group(const Tree& tree, const std::string& group_id);

/// Adds the groups of the path of every app and group, the root included, that are not there yet.
void ensure_parents(Tree& tree, int64_t version_ms);
/// Whether there is such a group: one of its own, or a parent of something. The root always is.
bool has_group(const Tree& tree, const std::string& group_id);

/// What of a group is printed; without `groups` its subgroups are an empty list, and so on.
struct GroupEmbed {
    bool groups = true;
    bool apps = true;
};
/// Prints one app, so that counts and tasks can be embedded.
using AppPrinter = std::function<core::Json(const wire::AppDefinition& app)>;
/// The group as GET prints it; nothing when there is none.
std::optional<core::Json> group_to_json(const Tree& tree, const std::string& group_id, GroupEmbed embed,
                                        const AppPrinter& print_app);

}  // namespace smackd::marathon
