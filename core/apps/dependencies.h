// What depends on what: apps on apps and on whole groups, groups on both.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/app.pb.h"

namespace smackd::apps {

using Apps = std::map<std::string, wire::AppDefinition>;  ///< by id
using Groups = std::map<std::string, wire::GroupDefinition>;

struct Order {
    /// Each app after all that it depends on, as early as it can be; sorted within a layer.
    std::vector<std::vector<std::string>> layers;
    /// Apps that depend on themselves by way of others, or on such ones; sorted. Empty in a sound set.
    std::vector<std::string> cyclic;
};

/// A dependency on a group is one on every app below it; what a group depends on, all its apps do. Ids that
/// are neither app nor group are no dependency.
Order dependency_order(const Apps& apps, const Groups& groups);

/// Whether `id` is `group` or below it.
bool is_in_group(std::string_view id, std::string_view group);

}  // namespace smackd::apps
