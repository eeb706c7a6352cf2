#include "core/policy.h"

#include <algorithm>
#include <array>

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

bool subject_matches(std::string_view rule_subject, const Subject& subject) {
    if (rule_subject == "user:*") return true;
    if (rule_subject.starts_with("user:")) return rule_subject.substr(5) == subject.user;
    if (!rule_subject.starts_with("group:")) return false;
    return std::ranges::contains(subject.groups, rule_subject.substr(6));
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
        } else {
            return fail(Errc::kInvalid, "rule subject '{}': must be user:NAME, group:NAME or user:*",
                        subject.substr(0, 64));
        }
    }
    if (actions == 0 || actions > kAllActions)
        return fail(Errc::kInvalid, "rule actions: at least one is needed");
    if (tenant != "*") TRY(check_user_name(tenant));
    return check_path(path);
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
        if (subject_matches(rule.subject, subject)) return &rule;
    }
    return nullptr;
}

Result<void> authorize(std::span<const Rule> rules, const Subject& subject, const Request& request) {
    if (find_grant(rules, subject, request) != nullptr) return {};
    const bool everywhere = request.tenant == "*";
    return fail(
        Errc::kDenied,
        "no rule lets user '{0}' {1} {2}{3}; an admin can grant it with: smackd policy add NAME user:{0} "
        "--allow {1}{4} --path {2}",
        subject.user, action_name(request.action), request.path,
        everywhere ? "" : " of tenant " + request.tenant, everywhere ? "" : " --tenant " + request.tenant);
}

}  // namespace smackd::core
