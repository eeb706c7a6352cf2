#include "core/marathon/group_json.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <set>

#include "core/marathon/path_id.h"
#include "core/marathon/read_app.h"
#include "core/marathon/timestamp.h"
#include "core/marathon/write_parts.h"

namespace smackd::marathon {

using apps::is_in_group;
using core::Json;
using wire::AppDefinition;
using wire::GroupDefinition;

namespace {

constexpr Range kScaleBy{0, 1'000'000};

/// Reads a group and what is below it into a tree.
class GroupReader {
 public:
    GroupReader(Tree& tree, Violations& violations) : tree_(tree), violations_(violations) {}

    void read(const Json& json, const std::string& path, const std::string& id, size_t depth) {
        if (depth > kGroupDepthMax)
            return violations_.add(path, std::format("groups may be nested {} deep at most", kGroupDepthMax));
        const Fields fields(json, path, violations_);
        GroupDefinition& group = tree_.groups[id];
        group.set_id(id);
        read_dependencies(fields, id, group);
        if (const auto enforce = fields.boolean("enforceRole")) group.set_enforce_role(*enforce);
        if (fields.has("apps")) read_apps(fields, id);
        if (fields.has("groups")) read_groups(fields, id, depth);
    }

 private:
    void read_dependencies(const Fields& fields, const std::string& id, GroupDefinition& group) {
        if (!fields.has("dependencies")) return;
        group.clear_dependencies();
        fields.texts("dependencies", kListMax, kAppIdBytesMax,
                     [&](const std::string& text, const std::string& path) {
                         auto absolute = resolve_id(text, id);
                         if (absolute && is_in_group(id, *absolute)) {
                             violations_.add(path, "must not be the group itself or one it is in");
                         } else if (absolute) {
                             group.add_dependencies(*std::move(absolute));
                         } else {
                             violations_.add(path, absolute.error().message);
                         }
                     });
        std::ranges::sort(*group.mutable_dependencies());
    }

    /// The list is all of the group's own apps: others are gone.
    void read_apps(const Fields& fields, const std::string& id) {
        const apps::Apps before = tree_.apps;
        std::erase_if(tree_.apps, [&](const auto& one) { return parent_id(one.first) == id; });
        fields.elements("apps", kGroupAppsMax, [&](const Json& element, const std::string& path) {
            AppDefinition app = read_app(element, path, {id, ""}, violations_);
            if (app.id().empty()) return;
            if (parent_id(app.id()) != id)
                return violations_.add(
                    path + "/id",
                    std::format("identifier {} is not child of {}. Hint: use relative paths.", app.id(), id));
            keep_versions(before, app);
            if (!tree_.apps.emplace(app.id(), app).second)
                violations_.add(path + "/id", "stands twice in the group: " + app.id());
        });
    }

    static void keep_versions(const apps::Apps& before, AppDefinition& app) {
        const auto current = before.find(app.id());
        if (current == before.end()) return;
        app.set_version_ms(current->second.version_ms());
        app.set_config_version_ms(current->second.config_version_ms());
        app.set_last_scaling_ms(current->second.last_scaling_ms());
        app.set_last_config_change_ms(current->second.last_config_change_ms());
        app.set_tenant(current->second.tenant());
    }

    /// The list is all of the group's own groups: others are gone with everything in them.
    void read_groups(const Fields& fields, const std::string& id, size_t depth) {
        std::map<std::string, std::pair<Json, std::string>> given;
        fields.elements("groups", kGroupAppsMax, [&](const Json& element, const std::string& path) {
            const std::string text = Fields(element, path, violations_).required_text("id", kAppIdBytesMax);
            if (text.empty()) return;
            auto absolute = resolve_id(text, id);
            if (!absolute) return violations_.add(path + "/id", absolute.error().message);
            if (*absolute == "/" || parent_id(*absolute) != id)
                return violations_.add(
                    path + "/id", std::format("identifier {} is not child of {}. Hint: use relative paths.",
                                              *absolute, id));
            if (!given.emplace(*absolute, std::pair(element, path)).second)
                violations_.add(path + "/id", "stands twice in the group: " + *absolute);
        });
        const auto is_gone = [&](const std::string& other) {
            return other != id && is_in_group(other, id) && std::ranges::none_of(given, [&](const auto& one) {
                       return is_in_group(other, one.first);
                   });
        };
        // The group's own apps are those of the list "apps".
        std::erase_if(tree_.apps,
                      [&](const auto& one) { return parent_id(one.first) != id && is_gone(one.first); });
        std::erase_if(tree_.groups, [&](const auto& one) { return is_gone(one.first); });
        for (const auto& [child, at] : given) read(at.first, at.second, child, depth + 1);
    }

    Tree& tree_;
    Violations& violations_;
};

/// The group a body means: that of the address, or the one its own id names.
core::Result<std::string> target_of(const Fields& fields, const std::string& group_id, bool create) {
    const auto given = fields.text("id", kAppIdBytesMax);
    if (!given) return group_id;
    TRY_ASSIGN(std::string absolute, resolve_id(*given, group_id));
    // PUT names the group in the address already; many clients repeat its last part in the body.
    if (!create && resolve_id(*given, parent_id(group_id)).value_or("") == group_id) return group_id;
    if (is_in_group(absolute, group_id)) return absolute;
    return core::fail(core::Errc::kInvalid, "must be {} or below it", group_id);
}

void check_alone(const Fields& fields, const Json& json, std::string_view name) {
    for (const auto& [other, value] : json.as_object()) {
        if (other == name || other == "id" || value.is_null()) continue;
        fields.wrong(name, std::format("must be the only field: {} is given, too", other));
        return;
    }
}

void scale(Tree& tree, const std::string& id, double by) {
    for (auto& [app_id, app] : tree.apps) {
        if (!is_in_group(app_id, id)) continue;
        const double scaled = std::ceil(static_cast<double>(app.instances()) * by - 1e-9);
        app.set_instances(static_cast<uint32_t>(std::clamp(scaled, 0.0, static_cast<double>(kInstancesMax))));
    }
}

Json own_json(const Tree& tree, const std::string& id) {
    Json json = Json::object();
    const auto found = tree.groups.find(id);
    json.set("id", id);
    json.set("dependencies",
             found == tree.groups.end() ? Json::array() : strings(found->second.dependencies()));
    if (found != tree.groups.end() && found->second.has_enforce_role())
        json.set("enforceRole", found->second.enforce_role());
    int64_t version_ms = found == tree.groups.end() ? 0 : found->second.version_ms();
    for (const auto& [app_id, app] : tree.apps) {
        if (is_in_group(app_id, id)) version_ms = std::max(version_ms, app.version_ms());
    }
    return std::move(json.set("version", format_timestamp(version_ms)));
}

}  // namespace

Checked<GroupUpdate> group_from_json(const Json& json, const std::string& group_id, const Tree& current,
                                     bool create) {
    Violations violations;
    const Fields fields(json, "", violations);
    GroupUpdate update;
    auto target = target_of(fields, group_id, create);
    if (!target) {
        violations.add("/id", target.error().message);
        return std::unexpected(std::move(violations).problem());
    }
    update.id = *target;
    if (create && update.id != "/" && current.apps.contains(update.id))
        return std::unexpected(
            Problem::of(409, std::format("An app with the path {} already exists.", update.id)));
    if (create && update.id != "/" && has_group(current, update.id))
        return std::unexpected(Problem::of(
            409, std::format("Group {} is already created. Use PUT to change this group.", update.id)));
    update.tree = current;
    if (fields.has("version")) {
        update.kind = GroupUpdate::Kind::kRollback;
        check_alone(fields, json, "version");
        const auto version = parse_timestamp(fields.text("version", kAppIdBytesMax).value_or(""));
        if (!version) violations.add("/version", version.error().message);
        update.version_ms = version.value_or(0);
    } else if (fields.has("scaleBy")) {
        if (!has_group(current, update.id))
            return std::unexpected(Problem::of(404, std::format("Group '{}' does not exist", update.id)));
        update.kind = GroupUpdate::Kind::kScale;
        check_alone(fields, json, "scaleBy");
        update.scale_by = fields.number("scaleBy", kScaleBy).value_or(1);
        scale(update.tree, update.id, update.scale_by);
    } else {
        GroupReader(update.tree, violations).read(json, "", update.id, 1);
    }
    if (!violations.empty()) return std::unexpected(std::move(violations).problem());
    TRY(check_tree(update.tree));
    return update;
}

Checked<void> check_tree(const Tree& tree) {
    Violations violations;
    for (const auto& [id, app] : tree.apps) {
        if (tree.groups.contains(id)) violations.add("/", std::format("Group and App share the path {}", id));
        const auto below = tree.apps.upper_bound(id + "/");
        if (below != tree.apps.end() && below->first.starts_with(id + "/"))
            violations.add("/",
                           std::format("Group and App share the path {}: {} is below it", id, below->first));
    }
    const auto order = apps::dependency_order(tree.apps, tree.groups);
    if (!order.cyclic.empty()) {
        std::string list;
        for (const std::string& id : order.cyclic) list += list.empty() ? id : ", " + id;
        violations.add("/dependencies", "Dependency graph has cyclic dependencies: " + list.substr(0, 1000));
    }
    if (violations.empty()) return {};
    return std::unexpected(std::move(violations).problem());
}

std::optional<Tree> without_group(const Tree& tree, const std::string& group_id) {
    if (!has_group(tree, group_id)) return std::nullopt;
    Tree rest = tree;
    std::erase_if(rest.apps, [&](const auto& one) { return is_in_group(one.first, group_id); });
    std::erase_if(rest.groups,
                  [&](const auto& one) { return one.first != "/" && is_in_group(one.first, group_id); });
    return rest;
}

void ensure_parents(Tree& tree, int64_t version_ms) {
    std::vector<std::string> ids = {"/"};
    for (const auto& [id, app] : tree.apps) ids.push_back(parent_id(id));
    for (const auto& [id, group] : tree.groups) ids.push_back(parent_id(id));
    for (std::string id : ids) {
        for (; !tree.groups.contains(id); id = parent_id(id)) {
            tree.groups[id].set_id(id);
            tree.groups[id].set_version_ms(version_ms);
        }
    }
}

bool has_group(const Tree& tree, const std::string& group_id) {
    if (group_id == "/" || tree.groups.contains(group_id)) return true;
    const std::string prefix = group_id + "/";
    const auto app = tree.apps.lower_bound(prefix);
    if (app != tree.apps.end() && app->first.starts_with(prefix)) return true;
    const auto group = tree.groups.lower_bound(prefix);
    return group != tree.groups.end() && group->first.starts_with(prefix);
}

std::optional<Json> group_to_json(const Tree& tree, const std::string& group_id, GroupEmbed embed,
                                  const AppPrinter& print_app) {
    if (!has_group(tree, group_id)) return std::nullopt;
    Json json = own_json(tree, group_id);
    Json own_apps = Json::array();
    std::set<std::string> children;
    // The group of this one on the way to something further below.
    const size_t start = group_id == "/" ? 1 : group_id.size() + 1;
    const auto add_child = [&](const std::string& below) {
        children.insert(below.substr(0, below.find('/', start)));
    };
    for (const auto& [id, app] : tree.apps) {
        if (!is_in_group(id, group_id)) continue;
        if (parent_id(id) != group_id) {
            add_child(id);
        } else if (embed.apps) {
            own_apps.push(print_app(app));
        }
    }
    for (const auto& [id, group] : tree.groups) {
        if (id != group_id && is_in_group(id, group_id)) add_child(id);
    }
    Json groups = Json::array();
    for (const std::string& child : children) {
        if (embed.groups) groups.push(*group_to_json(tree, child, embed, print_app));
    }
    json.set("apps", std::move(own_apps)).set("groups", std::move(groups)).set("pods", Json::array());
    return json;
}

}  // namespace smackd::marathon
