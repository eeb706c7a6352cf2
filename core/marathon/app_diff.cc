#include "core/marathon/app_diff.h"

#include <algorithm>
#include <format>
#include <string_view>

#include "core/apps/deployment.h"
#include "core/marathon/app_json.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;

namespace {

bool has_objects(const Json& list) {
    const Json::Array& elements = list.as_array();
    return !elements.empty() &&
           std::ranges::all_of(elements, [](const Json& element) { return element.is_object(); });
}

/// Two objects, or one beside nothing: an environment that was empty is none.
bool has_members(const Json& before, const Json& after) {
    const auto is_part = [](const Json& json) { return json.is_object() || json.is_null(); };
    return is_part(before) && is_part(after) && !(before.as_object().empty() && after.as_object().empty());
}

std::vector<std::string> names_of(const Json& before, const Json& after) {
    std::vector<std::string> names;
    for (const auto& [name, value] : before.as_object()) names.push_back(name);
    for (const auto& [name, value] : after.as_object()) {
        if (before.find(name) == nullptr) names.push_back(name);
    }
    return names;
}

void compare(const std::string& path, const Json& before, const Json& after,
             std::vector<FieldChange>& changes);

/// What one list has more than the other is shown whole.
void compare_elements(const std::string& path, const Json::Array& before, const Json::Array& after,
                      std::vector<FieldChange>& changes) {
    for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
        const std::string element = std::format("{}({})", path, i);
        if (i < before.size() && i < after.size()) {
            compare(element, before[i], after[i], changes);
        } else {
            changes.push_back(
                {element, i < before.size() ? before[i] : Json(), i < after.size() ? after[i] : Json()});
        }
    }
}

void compare(const std::string& path, const Json& before, const Json& after,
             std::vector<FieldChange>& changes) {
    if (before == after) return;
    if (has_members(before, after)) {
        for (const std::string& name : names_of(before, after))
            compare(path + "/" + name, before[name], after[name], changes);
        return;
    }
    if (has_objects(before) && has_objects(after)) {
        compare_elements(path, before.as_array(), after.as_array(), changes);
        return;
    }
    changes.push_back({path, before, after});
}

/// The definition `json` with one member as in `other`.
Json with_member(const Json& json, const Json& other, const std::string& name) {
    Json mixed = Json::object();
    for (const auto& [member, value] : json.as_object()) {
        if (member != name) mixed.set(member, value);
    }
    if (const Json* value = other.find(name)) mixed.set(name, *value);
    return mixed;
}

/// Whether this member alone makes tasks be replaced. What is not possible alone (args without cmd's going)
/// counts as the whole does.
bool restarts(const AppDefinition& before, const Json& mixed) {
    auto app = app_from_json(mixed, {});
    return !app || apps::needs_restart(before, *app);
}

AppDefinition defaults(const AppDefinition& of) {
    auto app = app_from_json(Json::object().set("id", of.id()).set("cmd", "true"), {});
    if (!app) return {};
    app->clear_cmd();
    return *std::move(app);
}

bool is_stamp(std::string_view name) {
    return name == "version" || name == "versionInfo";
}

}  // namespace

std::vector<FieldChange> changed_fields(const AppDefinition* before, const AppDefinition& after) {
    const Json old_json = app_to_json(before == nullptr ? defaults(after) : *before);
    const Json new_json = app_to_json(after);
    // What is printed and read again, so that only what differs differs.
    const auto read = app_from_json(old_json, {});
    const bool any = before != nullptr && apps::needs_restart(*before, after);
    std::vector<FieldChange> changes;
    for (const std::string& name : names_of(old_json, new_json)) {
        if (is_stamp(name)) continue;
        const size_t first = changes.size();
        compare("/" + name, old_json[name], new_json[name], changes);
        if (!any || changes.size() == first) continue;
        const bool this_one = !read || restarts(*read, with_member(old_json, new_json, name));
        for (size_t i = first; i < changes.size(); ++i) changes[i].restarts = this_one;
    }
    if (before == nullptr) {
        for (FieldChange& change : changes) change.before = Json();
    }
    return changes;
}

}  // namespace smackd::marathon
