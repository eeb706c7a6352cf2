// Marathon's placement constraints, evaluated for one app against one node after the other.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/apps/node.h"
#include "core/apps/pattern.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// As Marathon writes it: "GROUP_BY".
std::string_view operator_name(wire::Constraint::Operator op);

/// What a constraint's field is on a node: host name, region, zone or an attribute; nothing when the node has
/// none.
std::optional<std::string> field_value(const Node& node, std::string_view field);

/// Whether IS holds: equal, or equal as numbers rounded to three decimals.
bool is_equal_value(std::string_view a, std::string_view b);

/// One constraint, with how many tasks of the app are where.
struct ConstraintRule {
    wire::Constraint::Operator op = wire::Constraint::UNKNOWN;
    std::string field;
    std::string value;
    bool has_value = false;
    uint32_t number = 0;                      ///< MAX_PER, GROUP_BY
    std::optional<Pattern> pattern;           ///< LIKE, UNLIKE
    std::map<std::string, uint32_t> placed;   ///< by value, all that are there
    std::map<std::string, uint32_t> staying;  ///< by value, those that stay

    std::string text() const;
    /// Whether the answer for a value is the same whatever is placed.
    bool is_fixed() const;
    bool allows(const std::optional<std::string>& found) const;
};

/// The constraints of one app with what is placed already. add() for each task that is there;
/// Placement::Series adds those that it places.
class Constraints {
 public:
    explicit Constraints(const wire::AppDefinition& app);

    /// A task of the app on this node. `stays`: it is neither being killed nor of an older configuration that
    /// is being replaced, so it counts for the balance of GROUP_BY; the others still count for UNIQUE,
    /// MAX_PER and CLUSTER.
    void add(const Node& node, bool stays);
    /// The constraint that forbids this node; null when it fits.
    const ConstraintRule* refusal(const Node& node) const;
    std::span<const ConstraintRule> rules() const { return rules_; }
    /// How many tasks of the app each node has, whether they stay or not.
    const std::map<core::NodeId, uint32_t>& tasks() const { return tasks_; }

 private:
    std::vector<ConstraintRule> rules_;
    std::map<core::NodeId, uint32_t> tasks_;
};

}  // namespace smackd::apps
