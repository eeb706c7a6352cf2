// Who may do what where: the pure decision behind every door, taken again in apply.
//
// A rule grants a subject some actions below a path of a tenant. There are no deny rules: what no rule
// grants is refused, and the refusal names what was missing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace smackd::apps {
class Tenants;
}

namespace smackd::core {

enum class Action : uint8_t {
    kView = 1,    ///< see that it exists, its state and logs
    kLaunch = 2,  ///< create
    kChange = 4,  ///< update, scale, restart
    kKill = 8,    ///< stop, remove
    kExec = 16,   ///< run something inside
    kAdmin = 32,  ///< people, machines, rules, settings, what has the node; includes all others
    kHost = 64,   ///< tasks in the network of their node, beside `launch` and `change`
};

/// "view|launch|change|kill|exec|admin|host"; kInvalid lists them.
Result<Action> parse_action(std::string_view text);
std::string_view action_name(Action action);
/// The names of a set of actions (Rule::actions), in the order above.
std::vector<std::string_view> action_names(uint8_t actions);

struct Rule {
    std::string id;
    std::string subject;  ///< "user:NAME", "group:NAME", "user:*" for every user, or "task:PATH"
    uint8_t actions = 0;  ///< bits of Action
    std::string tenant;   ///< "*" is every tenant
    std::string path;     ///< "/" is everything; a prefix on component borders

    /// kInvalid names the field and the rule it breaks.
    Result<void> check() const;
};

/// Whoever asks, after authentication: a user with the groups the state knows for them, or a task.
struct Subject {
    std::string user;  ///< user name, without realm; of a task empty
    std::vector<std::string> groups;
    std::string app{};  ///< of a task: its app's id, which a rule's "task:PATH" covers; of a user empty
    /// Of a task: whose is what now. With it the task may view its own app and what its tenant owns, without
    /// a rule (kOwnRule).
    std::shared_ptr<const apps::Tenants> tenants{};

    bool is_task() const { return !app.empty(); }
    /// The same without what it may for being a task: rules alone count.
    Subject by_rules() const { return {user, groups, app, nullptr}; }
};

/// Id of the rule that find_grant() answers when a task may by being one.
inline constexpr std::string_view kOwnRule = "(own tenant)";

/// What is asked for. Cluster-wide things (users, machines, rules) are tenant "*" and path "/".
struct Request {
    Action action = Action::kView;
    std::string tenant = "*";
    std::string path = "/";
};

/// The rule that grants the request, or nullptr. Ties go to the first in `rules`, then to kOwnRule.
const Rule* find_grant(std::span<const Rule> rules, const Subject& subject, const Request& request);

/// kDenied naming user, action and place when no rule grants the request, and the command that would.
Result<void> authorize(std::span<const Rule> rules, const Subject& subject, const Request& request);

/// Whether a rule with this subject speaks of tasks: of the apps at and below a path.
bool is_of_tasks(std::string_view rule_subject);
/// Whether the rule speaks of the subject, whatever it grants.
bool names(const Rule& rule, const Subject& subject);

/// True when `path` is `prefix` or below it on component borders ("/a" covers "/a/b", not "/ab").
bool path_covers(std::string_view prefix, std::string_view path);

}  // namespace smackd::core
