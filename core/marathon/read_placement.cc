// Where tasks may run, what the app depends on, and how it is replaced, retried and killed.
#include <algorithm>

#include "core/marathon/path_id.h"
#include "core/marathon/read_app.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;
using wire::Constraint;

namespace {

constexpr size_t kNameBytesMax = 1024;
constexpr size_t kPatternBytesMax = 1024;

constexpr std::pair<std::string_view, Constraint::Operator> kOperators[] = {
    {"UNIQUE", Constraint::UNIQUE}, {"CLUSTER", Constraint::CLUSTER}, {"GROUP_BY", Constraint::GROUP_BY},
    {"LIKE", Constraint::LIKE},     {"UNLIKE", Constraint::UNLIKE},   {"MAX_PER", Constraint::MAX_PER},
    {"IS", Constraint::IS},
};

Constraint::Operator operator_of(std::string name) {
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    for (const auto& [known, op] : kOperators) {
        if (known == name) return op;
    }
    return Constraint::UNKNOWN;
}

void read_upgrade(const Fields& fields, bool resident, wire::UpgradeStrategy& upgrade) {
    constexpr Range kShare{0, 1};
    upgrade.set_minimum_health_capacity(
        fields.number("minimumHealthCapacity", kShare).value_or(resident ? 0.5 : 1));
    upgrade.set_maximum_over_capacity(
        fields.number("maximumOverCapacity", kShare).value_or(resident ? 0 : 1));
    upgrade.set_deadline_ms(fields.seconds_as_ms("deadlineSeconds").value_or(0));
    upgrade.set_rollback_on_deadline(fields.boolean("rollbackOnDeadline").value_or(false));
}

void read_unreachable(const Fields& fields, bool resident, wire::UnreachableStrategy& strategy) {
    const Json* given = fields.find("unreachableStrategy");
    if (given == nullptr) {
        strategy.set_disabled(resident);
        return;
    }
    if (given->is_string()) {
        if (given->as_string() != "disabled")
            fields.wrong("unreachableStrategy", "must be \"disabled\" or an object");
        strategy.set_disabled(true);
        return;
    }
    const Fields times = fields.object("unreachableStrategy");
    strategy.set_inactive_after_ms(times.seconds_as_ms("inactiveAfterSeconds").value_or(0));
    strategy.set_expunge_after_ms(
        times.seconds_as_ms("expungeAfterSeconds").value_or(strategy.inactive_after_ms()));
}

}  // namespace

Constraint read_constraint(const Json& json, const std::string& path, Violations& violations) {
    Constraint constraint;
    if (!json.is_array()) {
        violations.add_type(path, "error.expected.jsarray: must be an array of two or three strings");
        return constraint;
    }
    const Json::Array& parts = json.as_array();
    if (parts.size() < 2 || parts.size() > 3) {
        violations.add(path, "must have two or three elements: field, operator, value");
        return constraint;
    }
    constraint.set_field(read_text(parts[0], path, kNameBytesMax, violations).value_or("?"));
    if (constraint.field().empty()) violations.add(path, "the field must not be empty");
    const auto name = read_text(parts[1], path, kNameBytesMax, violations);
    constraint.set_op(operator_of(name.value_or("")));
    if (constraint.op() == Constraint::UNKNOWN)
        violations.add(path, "operator must be one of UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS");
    if (parts.size() == 3) {
        if (auto value = read_text(parts[2], path, kPatternBytesMax, violations))
            constraint.set_value(*value);
    }
    return constraint;
}

void read_placement(const Fields& fields, AppDefinition& app) {
    fields.elements("constraints", kListMax, [&](const Json& element, const std::string& path) {
        *app.add_constraints() = read_constraint(element, path, fields.violations());
    });
    fields.texts("acceptedResourceRoles", kListMax, kNameBytesMax,
                 [&](std::string role, const std::string&) { app.add_accepted_roles(std::move(role)); });
    const Json* roles = fields.find("acceptedResourceRoles");
    if (roles != nullptr && roles->is_array() && roles->as_array().empty())
        fields.wrong("acceptedResourceRoles", "must not be empty");
    app.set_role(fields.has("role") ? fields.required_text("role", kNameBytesMax) : "*");
    fields.texts("dependencies", kListMax, kAppIdBytesMax,
                 [&](const std::string& id, const std::string& path) {
                     // Against the group of the app, as Marathon does.
                     auto absolute = resolve_id(id, parent_id(app.id().empty() ? "/" : app.id()));
                     if (absolute) {
                         app.add_dependencies(*std::move(absolute));
                     } else {
                         fields.violations().add(path, absolute.error().message);
                     }
                 });
    std::ranges::sort(*app.mutable_dependencies());
}

void read_strategies(const Fields& fields, AppDefinition& app) {
    const bool resident = is_resident(app);
    read_upgrade(fields.object("upgradeStrategy"), resident, *app.mutable_upgrade());
    read_unreachable(fields, resident, *app.mutable_unreachable());
    app.set_backoff_ms(fields.seconds_as_ms("backoffSeconds").value_or(1000));
    app.set_backoff_factor(fields.number("backoffFactor", {1, 1000}).value_or(1.15));
    app.set_backoff_max_ms(fields.seconds_as_ms("maxLaunchDelaySeconds").value_or(300'000));
    if (const auto grace = fields.seconds_as_ms("taskKillGracePeriodSeconds")) app.set_kill_grace_ms(*grace);
    const std::string selection = fields.text("killSelection", kNameBytesMax).value_or("YOUNGEST_FIRST");
    if (selection != "YOUNGEST_FIRST" && selection != "OLDEST_FIRST")
        fields.wrong("killSelection", "must be one of YOUNGEST_FIRST, OLDEST_FIRST");
    app.set_kill_selection(selection == "OLDEST_FIRST" ? wire::OLDEST_FIRST : wire::YOUNGEST_FIRST);
}

}  // namespace smackd::marathon
