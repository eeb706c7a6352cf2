// Users, groups and rules.
#include <algorithm>

#include "core/names.h"
#include "core/planted.h"
#include "core/policy.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"
#include "storage/state/lookup.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

Outcome<std::vector<std::string>> texts(sqlite::Database& state, const char* sql,
                                        std::string_view parameter) {
    std::vector<std::string> found;
    TRY_ASSIGN(auto cursor, state.query(sql, {parameter}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return found;
        found.emplace_back(cursor.row().text(0));
    }
}

/// A rule must not outlive its subject: whoever gets the name next would inherit the rights.
Outcome<void> remove_rules_of(Writer& writer, const std::string& subject) {
    TRY_ASSIGN(const auto ids,
               texts(writer.state(), "SELECT id FROM rules WHERE subject = ? ORDER BY id", subject));
    for (const std::string& id : ids) {
        wire::RemoveRule removal;
        removal.set_id(id);
        TRY(remove_rule(writer, removal));
    }
    return {};
}

Outcome<void> write_group(Writer& writer, wire::PutGroup group) {
    auto* members = group.mutable_members();
    std::ranges::sort(*members);
    members->erase(std::unique(members->begin(), members->end()), members->end());
    sqlite::Database& state = writer.state();
    TRY(state.run("INSERT OR REPLACE INTO groups VALUES(?, ?, ?)",
                  {group.name(), group.description(), writer.next_revision()}));
    TRY(state.run("DELETE FROM group_members WHERE group_name = ?", {group.name()}));
    for (const std::string& member : *members) {
        TRY(state.run("INSERT INTO group_members VALUES(?, ?)", {group.name(), member}));
    }
    TRY(writer.emit({.kind = "group", .key = group.name(), .row = serialize(group)}));
    return {};
}

Outcome<void> leave_groups(Writer& writer, const std::string& user) {
    TRY_ASSIGN(const auto groups,
               texts(writer.state(),
                     "SELECT group_name FROM group_members WHERE user_name = ? ORDER BY group_name", user));
    for (const std::string& name : groups) {
        wire::PutGroup group;
        group.set_name(name);
        TRY_ASSIGN(const auto description,
                   texts(writer.state(), "SELECT description FROM groups WHERE name = ?", name));
        if (!description.empty()) group.set_description(description.front());
        TRY_ASSIGN(
            const auto members,
            texts(writer.state(),
                  "SELECT user_name FROM group_members WHERE group_name = ? ORDER BY user_name", name));
        for (const std::string& member : members) {
            if (member != user) group.add_members(member);
        }
        TRY(write_group(writer, std::move(group)));
    }
    return {};
}

Outcome<core::Rule> checked_rule(Writer& writer, const wire::PutRule& change) {
    unsigned actions = 0;
    for (const std::string& text : change.actions()) {
        auto action = core::parse_action(text);
        if (!action) return std::unexpected(Failure(std::move(action.error()), true));
        actions |= static_cast<unsigned>(*action);
    }
    core::Rule rule{change.id(), change.subject(), static_cast<uint8_t>(actions), change.tenant(),
                    change.path()};
    TRY(refused(rule.check()));
    TRY(refused(core::check_text("rule note", change.note(), kTextBytesMax)));
    TRY_ASSIGN(const int64_t others,
               writer.state().integer("SELECT count(*) FROM rules WHERE id <> ?", {rule.id}));
    if (others >= kRulesMax)
        return refuse(Errc::kBusy, "there are {} rules already, the limit is {}", others, kRulesMax);
    return rule;
}

}  // namespace

Outcome<void> put_user(Writer& writer, const wire::PutUser& change) {
    TRY(refused(core::check_user_name(change.name())));
    TRY(refused(core::check_text("full_name", change.full_name(), kTextBytesMax)));
    TRY(writer.state().run("INSERT OR REPLACE INTO users VALUES(?, ?, ?, ?)",
                           {change.name(), change.full_name(), change.disabled(), writer.next_revision()}));
    TRY(writer.emit({.kind = "user", .key = change.name(), .row = serialize(change)}));
    return {};
}

Outcome<void> remove_user(Writer& writer, const wire::RemoveUser& change) {
    TRY_ASSIGN(const int64_t rows,
               writer.state().integer("SELECT count(*) FROM users WHERE name = ?", {change.name()}));
    if (rows == 0) return refuse(Errc::kNotFound, "no user '{}'", change.name().substr(0, 64));
    if (!SMACK_BUG("removed_user_keeps_groups")) TRY(leave_groups(writer, change.name()));
    TRY(remove_rules_of(writer, "user:" + change.name()));
    TRY(forget_user_in_directory(writer, change.name()));
    TRY(writer.state().run("DELETE FROM users WHERE name = ?", {change.name()}));
    TRY(writer.emit({.kind = "user", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> put_group(Writer& writer, const wire::PutGroup& change) {
    TRY(refused(core::check_group_name(change.name())));
    TRY(refused(core::check_text("description", change.description(), kTextBytesMax)));
    if (change.members_size() > kMembersPerGroupMax) {
        return refuse(Errc::kInvalid, "group '{}': {} members, the limit is {}", change.name(),
                      change.members_size(), kMembersPerGroupMax);
    }
    for (const std::string& member : change.members()) TRY(refused(core::check_user_name(member)));
    return write_group(writer, change);
}

Outcome<void> remove_group(Writer& writer, const wire::RemoveGroup& change) {
    TRY_ASSIGN(const int64_t rows,
               writer.state().integer("SELECT count(*) FROM groups WHERE name = ?", {change.name()}));
    if (rows == 0) return refuse(Errc::kNotFound, "no group '{}'", change.name().substr(0, 64));
    TRY(remove_rules_of(writer, "group:" + change.name()));
    TRY(forget_group_in_directory(writer, change.name()));
    TRY(writer.state().run("DELETE FROM group_members WHERE group_name = ?", {change.name()}));
    TRY(writer.state().run("DELETE FROM groups WHERE name = ?", {change.name()}));
    TRY(writer.emit({.kind = "group", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> put_rule(Writer& writer, const wire::PutRule& change) {
    TRY_ASSIGN(const core::Rule rule, checked_rule(writer, change));
    const std::string actions = actions_to_text(rule.actions);
    const uint64_t version = writer.next_revision();
    if (writer.position().feature_level >= 2 && !SMACK_BUG("rule_note_forgotten")) {
        TRY(writer.state().run(
            "INSERT OR REPLACE INTO rules(id, subject, actions, tenant, path, version, note) VALUES(?, ?, ?, "
            "?, ?, ?, ?)",
            {rule.id, rule.subject, actions, rule.tenant, rule.path, version, change.note()}));
    } else {
        TRY(
            writer.state().run("INSERT OR REPLACE INTO rules(id, subject, actions, tenant, path, version) "
                               "VALUES(?, ?, ?, ?, ?, ?)",
                               {rule.id, rule.subject, actions, rule.tenant, rule.path, version}));
    }
    wire::PutRule row = change;
    row.clear_actions();
    for (const std::string_view name : core::action_names(rule.actions)) row.add_actions(std::string(name));
    TRY(writer.emit({.kind = "rule",
                     .key = rule.id,
                     .row = serialize(row),
                     .tenant = rule.tenant == "*" ? std::string_view{} : std::string_view(rule.tenant)}));
    return {};
}

Outcome<void> remove_rule(Writer& writer, const wire::RemoveRule& change) {
    TRY(writer.state().run("DELETE FROM rules WHERE id = ?", {change.id()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "no rule '{}'", change.id().substr(0, 64));
    TRY(writer.emit({.kind = "rule", .key = change.id(), .removed = true}));
    return {};
}

}  // namespace smackd::storage::state
