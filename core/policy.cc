#include "core/policy.h"

#include <algorithm>
#include <array>
#include <format>

#include "core/apps/tenants.h"
#include "core/names.h"

namespace smackd::core {
namespace {

struct NamedAction {
    std::string_view name;
    Action action;
};
constexpr std::array<NamedAction, 7> kActions = {{{"view", Action::kView},
                                                  {"launch", Action::kLaunch},
                                                  {"change", Action::kChange},
                                                  {"kill", Action::kKill},
                                                  {"exec", Action::kExec},
                                                  {"admin", Action::kAdmin},
                                                  {"host", Action::kHost}}};
constexpr uint8_t kAllActions = 127;

constexpr std::string_view kTaskSubject = "task:";

/// What a task may view for being one: its app, and what has the same owner. What nobody owns is not shared:
/// who may launch there need not see what others launched.
bool is_own(const Subject& subject, std::string_view path) {
    if (!subject.is_task() || subject.tenants == nullptr) return false;
    if (path == subject.app) return true;
    const std::string& tenant = subject.tenants->of(subject.app);
    return !tenant.empty() && subject.tenants->of(path) == tenant;
}

const Rule& own_rule() {
    static const Rule rule{std::string(kOwnRule), "task:/", static_cast<uint8_t>(Action::kView), "*", "/"};
    return rule;
}

std::string text_of_missing(const Subject& subject, const Request& request) {
    const std::string who =
        subject.is_task() ? std::format("task:{}", subject.app) : std::format("user:{}", subject.user);
    const bool everywhere = request.tenant == "*";
    return std::format(
        "no rule lets {0} '{1}' {2} {3}{4}; an admin can grant it with: smackd policy add NAME {5} --allow "
        "{2}{6} --path {3}",
        subject.is_task() ? "tasks of" : "user", subject.is_task() ? subject.app : subject.user,
        action_name(request.action), request.path, everywhere ? "" : " of tenant " + request.tenant, who,
        everywhere ? "" : " --tenant " + request.tenant);
}

}  // namespace

Result<Action> parse_action(std::string_view text) {
    for (const NamedAction& named : kActions) {
        if (named.name == text) return named.action;
    }
    return fail(Errc::kInvalid, "action '{}': must be one of view, launch, change, kill, exec, admin, host",
                text.substr(0, 64));
}

std::string_view action_name(Action action) {
    for (const NamedAction& named : kActions) {
        if (named.action == action) return named.name;
    }
    return "unknown";
}

std::vector<std::string_view> action_names(uint8_t actions) {
    std::vector<std::string_view> names;
    for (const NamedAction& named : kActions) {
        if ((actions & static_cast<uint8_t>(named.action)) != 0) names.push_back(named.name);
    }
    return names;
}

Result<void> Rule::check() const {
    TRY(check_key("rule id", id));
    if (subject != "user:*") {
        if (subject.starts_with("user:")) {
            TRY(check_user_name(std::string_view(subject).substr(5)));
        } else if (subject.starts_with("group:")) {
            TRY(check_group_name(std::string_view(subject).substr(6)));
        } else if (is_of_tasks(subject)) {
            TRY(check_path(std::string_view(subject).substr(kTaskSubject.size())));
        } else {
            return fail(Errc::kInvalid,
                        "rule subject '{}': must be user:NAME, group:NAME, user:* or task:PATH",
                        subject.substr(0, 64));
        }
    }
    if (actions == 0 || actions > kAllActions)
        return fail(Errc::kInvalid, "rule actions: at least one is needed");
    if (tenant != "*") TRY(check_user_name(tenant));
    return check_path(path);
}

bool is_of_tasks(std::string_view rule_subject) {
    return rule_subject.starts_with(kTaskSubject);
}

bool names(const Rule& rule, const Subject& subject) {
    const std::string_view who = rule.subject;
    // Not even every user is a task.
    if (subject.is_task())
        return is_of_tasks(who) && path_covers(who.substr(kTaskSubject.size()), subject.app);
    if (who == "user:*") return true;
    if (who.starts_with("user:")) return who.substr(5) == subject.user;
    return who.starts_with("group:") && std::ranges::contains(subject.groups, who.substr(6));
}

bool path_covers(std::string_view prefix, std::string_view path) {
    if (prefix == "/") return true;
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

const Rule* find_grant(std::span<const Rule> rules, const Subject& subject, const Request& request) {
    const auto wanted = static_cast<uint8_t>(request.action);
    const auto admin = static_cast<uint8_t>(Action::kAdmin);
    for (const Rule& rule : rules) {
        if ((rule.actions & (wanted | admin)) == 0) continue;
        if (rule.tenant != "*" && rule.tenant != request.tenant) continue;
        if (!path_covers(rule.path, request.path)) continue;
        if (names(rule, subject)) return &rule;
    }
    const bool own = request.action == Action::kView && is_own(subject, request.path);
    return own ? &own_rule() : nullptr;
}

Result<void> authorize(std::span<const Rule> rules, const Subject& subject, const Request& request) {
    if (find_grant(rules, subject, request) != nullptr) return {};
    return fail(Errc::kDenied, "{}", text_of_missing(subject, request));
}

}  // namespace smackd::core
