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

/// The constraints of one app with what is placed already. add() after each placement.
class Constraints {
 public:
    explicit Constraints(const wire::AppDefinition& app);

    /// A task of the app on this node. `stays`: it is neither being killed nor of an older configuration that
    /// is being replaced, so it counts for the balance of GROUP_BY; the others still count for UNIQUE,
    /// MAX_PER and CLUSTER.
    void add(const Node& node, bool stays);
    /// Nothing when the node fits, else the constraint that forbids it: "hostname UNIQUE".
    std::optional<std::string> refusal(const Node& node) const;
    /// How full the node's GROUP_BY groups are: lower is better.
    uint64_t group_load(const Node& node) const;
    bool empty() const { return rules_.empty(); }

 private:
    struct Rule {
        wire::Constraint::Operator op = wire::Constraint::UNKNOWN;
        std::string field;
        std::string value;
        bool has_value = false;
        uint32_t number = 0;                      ///< MAX_PER, GROUP_BY
        std::optional<Pattern> pattern;           ///< LIKE, UNLIKE
        std::map<std::string, uint32_t> placed;   ///< by value, all that are there
        std::map<std::string, uint32_t> staying;  ///< by value, those that stay
        std::string text() const;
        bool allows(const std::optional<std::string>& value) const;
    };
    std::vector<Rule> rules_;
};

}  // namespace smackd::apps
