// Ids of apps and groups: "/group/app". Relative ones ("app", "../app") resolve against a group.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::marathon {

/// Absolute and normal: no "//", ".", "..", no slash at the end but for the root. kInvalid names the segment
/// and rule; above the root is an error. Segments are DNS labels joined by dots.
core::Result<std::string> resolve_id(std::string_view id, std::string_view base = "/");
/// resolve_id for an app: not the root, and the last segment is none that routes need (restart, tasks,
/// versions).
core::Result<std::string> resolve_app_id(std::string_view id, std::string_view base = "/");

/// "/a/b" of "/a/b/c"; "/" of "/a" and of "/".
std::string parent_id(std::string_view id);
/// "a_b": as in task ids.
std::string id_with_underscores(std::string_view id);
/// "b.a": Mesos' task name and DiscoveryInfo name.
std::string id_reversed(std::string_view id);

/// "/a/b" from "a_b.instance-UUID._app.1", "a_b.instance-UUID" and the old "a_b.UUID"; kInvalid for anything
/// else. An underscore never stands in an id, so this is exact.
core::Result<std::string> app_of_task(std::string_view task_id);

}  // namespace smackd::marathon
