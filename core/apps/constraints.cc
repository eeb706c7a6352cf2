#include "core/apps/constraints.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/json.h"

namespace smackd::apps {

using wire::Constraint;

namespace {

std::optional<double> number_of(std::string_view text) {
    // libc++ has no from_chars for doubles; strtod goes by the locale.
    const auto json = core::Json::parse(text);
    return json && json->is_number() ? std::optional(json->as_number()) : std::nullopt;
}

uint32_t count_of(const std::map<std::string, uint32_t>& counts, const std::string& value) {
    const auto found = counts.find(value);
    return found == counts.end() ? 0 : found->second;
}

}  // namespace

std::string_view operator_name(Constraint::Operator op) {
    switch (op) {
        case Constraint::UNIQUE:
            return "UNIQUE";
        case Constraint::CLUSTER:
            return "CLUSTER";
        case Constraint::GROUP_BY:
            return "GROUP_BY";
        case Constraint::LIKE:
            return "LIKE";
        case Constraint::UNLIKE:
            return "UNLIKE";
        case Constraint::MAX_PER:
            return "MAX_PER";
        case Constraint::IS:
            return "IS";
        default:
            return "UNKNOWN";
    }
}

std::optional<std::string> field_value(const Node& node, std::string_view field) {
    const auto unless_empty = [](const std::string& text) {
        return text.empty() ? std::nullopt : std::optional(text);
    };
    if (field == "hostname" || field == "@hostname") return unless_empty(node.machine);
    if (field == "@region") return unless_empty(node.region);
    if (field == "@zone") return unless_empty(node.zone);
    const auto found = node.attributes.find(std::string(field));
    return found == node.attributes.end() ? std::nullopt : std::optional(found->second);
}

bool is_equal_value(std::string_view a, std::string_view b) {
    if (a == b) return true;
    const auto x = number_of(a);
    const auto y = number_of(b);
    // nearbyint rounds half to even, as Mesos prints scalars.
    return x && y && std::nearbyint(*x * 1000) == std::nearbyint(*y * 1000);
}

Constraints::Constraints(const wire::AppDefinition& app) {
    for (const Constraint& constraint : app.constraints()) {
        ConstraintRule rule;
        rule.op = constraint.op();
        rule.field = constraint.field();
        rule.value = constraint.value();
        rule.has_value = constraint.has_value();
        std::from_chars(rule.value.data(), rule.value.data() + rule.value.size(), rule.number);
        if (rule.op == Constraint::LIKE || rule.op == Constraint::UNLIKE) {
            if (auto pattern = Pattern::compile(rule.value)) rule.pattern = *std::move(pattern);
        }
        rules_.push_back(std::move(rule));
    }
}

void Constraints::add(const Node& node, bool stays) {
    ++tasks_[node.id];
    for (ConstraintRule& rule : rules_) {
        if (rule.is_fixed()) continue;
        const auto value = field_value(node, rule.field);
        if (!value) continue;
        ++rule.placed[*value];
        if (stays) ++rule.staying[*value];
    }
}

const ConstraintRule* Constraints::refusal(const Node& node) const {
    const auto refuses = [&](const ConstraintRule& rule) {
        return !rule.allows(field_value(node, rule.field));
    };
    const auto found = std::ranges::find_if(rules_, refuses);
    return found == rules_.end() ? nullptr : &*found;
}

std::string ConstraintRule::text() const {
    std::string text = field + " " + std::string(operator_name(op));
    if (has_value) text += " " + value;
    return text;
}

bool ConstraintRule::is_fixed() const {
    switch (op) {
        case Constraint::LIKE:
        case Constraint::UNLIKE:
        case Constraint::IS:
            return true;
        case Constraint::CLUSTER:
            return has_value && !value.empty();
        default:
            return false;
    }
}

bool ConstraintRule::allows(const std::optional<std::string>& found) const {
    if (!found) return op == Constraint::UNLIKE;
    switch (op) {
        case Constraint::UNIQUE:
            return count_of(placed, *found) == 0;
        case Constraint::CLUSTER:
            if (has_value && !value.empty()) return *found == value;
            return placed.empty() || placed.contains(*found);
        case Constraint::GROUP_BY:
            return number == 0 || staying.contains(*found) || staying.size() < number;
        case Constraint::LIKE:
            return pattern && pattern->matches(*found);
        case Constraint::UNLIKE:
            return !(pattern && pattern->matches(*found));
        case Constraint::MAX_PER:
            return count_of(placed, *found) < number;
        case Constraint::IS:
            return is_equal_value(*found, value);
        default:
            return false;
    }
}

}  // namespace smackd::apps
