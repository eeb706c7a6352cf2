#include "services/api/policy_view.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/marathon/path_id.h"
#include "core/wire/app.pb.h"
#include "core/wire/feed.pb.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;
using core::Subject;

namespace {

core::Rule to_rule(const wire::PutRule& row) {
    core::Rule rule;
    rule.id = row.id();
    rule.subject = row.subject();
    rule.tenant = row.tenant();
    rule.path = row.path();
    for (const std::string& text : row.actions()) {
        const auto action = core::parse_action(text);
        if (action) rule.actions = static_cast<uint8_t>(rule.actions | static_cast<uint8_t>(*action));
    }
    return rule;
}

/// The app or group a row belongs to.
std::optional<std::string> path_of(std::string_view kind, std::string_view key) {
    if (kind == "app" || kind == "app_group" || kind == "backoff") return std::string(key);
    if (kind != "task") return std::nullopt;
    auto app = marathon::app_of_task(key);
    if (!app) return std::nullopt;
    return std::move(*app);
}

}  // namespace

PolicyView::PolicyView(const PolicyRows& rows) {
    for (const wire::PutUser& user : rows.users) users_[user.name()].disabled = user.disabled();
    for (const wire::PutGroup& group : rows.groups) {
        for (const std::string& member : group.members()) {
            const auto found = users_.find(member);
            if (found != users_.end()) found->second.groups.push_back(group.name());
        }
    }
    add_directory(rows);
    for (auto& [name, user] : users_) {
        std::ranges::sort(user.groups);
        const auto repeated = std::ranges::unique(user.groups);
        user.groups.erase(repeated.begin(), repeated.end());
    }
    for (const wire::PutRule& row : rows.rules) {
        core::Rule rule = to_rule(row);
        if (rule.check()) rules_.push_back(std::move(rule));
    }
    std::ranges::sort(rules_, {}, &core::Rule::id);
}

void PolicyView::add_directory(const PolicyRows& rows) {
    for (const wire::PutDirectoryGroup& row : rows.directory_groups)
        directory_groups_[row.sid()] = row.group();
    for (const wire::PutDirectoryUser& row : rows.directory_users) {
        DirectoryUser& user = directory_users_[row.user()];
        user.ticket_s = row.ticket_s();
        user.sids.assign(row.sids().begin(), row.sids().end());
        std::ranges::sort(user.sids);
        const auto known = users_.find(row.user());
        if (known == users_.end()) continue;
        for (const std::string& sid : user.sids) {
            const auto listed = directory_groups_.find(sid);
            if (listed != directory_groups_.end()) known->second.groups.push_back(listed->second);
        }
    }
}

std::vector<std::string> PolicyView::listed_sids(const std::vector<std::string>& sids) const {
    std::vector<std::string> listed;
    std::ranges::copy_if(sids, std::back_inserter(listed),
                         [this](const std::string& sid) { return directory_groups_.contains(sid); });
    return listed;
}

const DirectoryUser* PolicyView::directory_user(std::string_view user) const {
    const auto found = directory_users_.find(user);
    return found == directory_users_.end() ? nullptr : &found->second;
}

Result<Subject> PolicyView::admit(std::string_view user, std::string_view principal) const {
    const auto found = users_.find(user);
    if (found == users_.end()) {
        return fail(Errc::kDenied,
                    "{} is who you are, but this cluster has no user '{}'; an admin can add it with: smackd "
                    "user add {}",
                    principal, user, user);
    }
    if (found->second.disabled) {
        return fail(Errc::kDenied,
                    "user '{}' is disabled; an admin can change that with: smackd user enable {}", user,
                    user);
    }
    return Subject{found->first, found->second.groups};
}

Result<void> PolicyView::authorize(const Subject& subject, const core::Request& request) const {
    return core::authorize(rules_, subject, request);
}

Result<void> PolicyView::authorize_somewhere(const Subject& subject, core::Action action) const {
    const auto wanted =
        static_cast<uint8_t>(static_cast<uint8_t>(action) | static_cast<uint8_t>(core::Action::kAdmin));
    for (const core::Rule& rule : rules_) {
        if ((rule.actions & wanted) != 0 && core::names(rule, subject)) return {};
    }
    // What a task may for being one, it may on its own app at least.
    const std::string path = subject.is_task() ? subject.app : "/";
    return core::authorize(rules_, subject, {.action = action, .tenant = "*", .path = path});
}

bool PolicyView::may(const Subject& subject, const core::Request& request) const {
    return find_grant(subject, request) != nullptr;
}

const core::Rule* PolicyView::find_grant(const Subject& subject, const core::Request& request) const {
    return core::find_grant(rules_, subject, request);
}

std::vector<const core::Rule*> PolicyView::grants(const Subject& subject) const {
    std::vector<const core::Rule*> found;
    for (const core::Rule& rule : rules_) {
        if (core::names(rule, subject)) found.push_back(&rule);
    }
    return found;
}

bool PolicyView::sees(const Subject& subject, std::string_view kind, std::string_view key,
                      std::string_view tenant) const {
    core::Request request;
    if (!tenant.empty()) request.tenant = tenant;
    if (auto path = path_of(kind, key)) request.path = std::move(*path);
    if (kind == "principal" || kind == "secret" || kind == "token" || kind == "exec")
        request.action = core::Action::kAdmin;
    if (may(subject, request)) return true;
    return request.action == core::Action::kView && concerns(subject, kind, key);
}

bool PolicyView::sees(const Subject& subject, const storage::feed::Record& record) const {
    if (sees(subject, record.kind, record.key, record.tenant)) return true;
    if (record.kind != "deployment") return false;
    wire::FeedChange change;
    wire::Deployment deployment;
    if (!change.ParseFromString(record.encoded) || !deployment.ParseFromString(change.row())) return false;
    return deployment.affected_apps_size() > 0 &&
           std::ranges::all_of(deployment.affected_apps(), [&](const std::string& app) {
               return may(subject, {.action = core::Action::kView, .tenant = "*", .path = app});
           });
}

std::vector<std::string> PolicyView::groups_of(std::string_view user) const {
    const auto found = users_.find(user);
    return found == users_.end() ? std::vector<std::string>{} : found->second.groups;
}

bool PolicyView::concerns(const Subject& subject, std::string_view kind, std::string_view key) const {
    if (kind == "user") return key == subject.user;
    if (kind == "group") return std::ranges::contains(subject.groups, key);
    if (kind != "rule") return false;
    const auto found = std::ranges::lower_bound(rules_, key, std::less<>{}, &core::Rule::id);
    return found != rules_.end() && found->id == key && core::names(*found, subject);
}

}  // namespace smackd::services
