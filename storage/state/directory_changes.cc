// Groups of a Windows directory, and which of them a user's ticket named.
#include <algorithm>
#include <optional>

#include "core/names.h"
#include "core/planted.h"
#include "core/sid.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"
#include "storage/state/limits.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

Outcome<bool> is_there(Writer& writer, const char* sql, std::string_view key) {
    TRY_ASSIGN(const int64_t rows, writer.state().integer(sql, {key}));
    return rows != 0;
}

/// The ticket of the last row; nothing when there is none.
Outcome<std::optional<int64_t>> last_ticket(Writer& writer, const std::string& user) {
    TRY_ASSIGN(auto cursor,
               writer.state().query("SELECT ticket_s FROM directory_users WHERE name = ?", {user}));
    TRY_ASSIGN(const bool found, cursor.next());
    return found ? std::optional<int64_t>(cursor.row().integer(0)) : std::nullopt;
}

Outcome<std::vector<std::string>> sids_of_group(Writer& writer, const std::string& group) {
    std::vector<std::string> sids;
    TRY_ASSIGN(
        auto cursor,
        writer.state().query("SELECT sid FROM directory_groups WHERE group_name = ? ORDER BY sid", {group}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return sids;
        sids.emplace_back(cursor.row().text(0));
    }
}

Outcome<void> remove_row(Writer& writer, const std::string& sid) {
    TRY(writer.state().run("DELETE FROM directory_members WHERE sid = ?", {sid}));
    TRY(writer.state().run("DELETE FROM directory_groups WHERE sid = ?", {sid}));
    TRY(writer.emit({.kind = "directory_group", .key = sid, .removed = true}));
    return {};
}

/// The user's own row, which the first sign-in with a listed group makes.
Outcome<void> make_user(Writer& writer, const wire::PutDirectoryUser& change, bool listed) {
    TRY_ASSIGN(const bool known,
               is_there(writer, "SELECT count(*) FROM users WHERE name = ?", change.user()));
    if (known) return {};
    if (!listed) return refuse(Errc::kDenied, "no user '{}', and in no listed group", change.user());
    wire::PutUser user;
    user.set_name(change.user());
    user.set_full_name(change.full_name());
    return put_user(writer, user);
}

}  // namespace

Outcome<void> put_directory_group(Writer& writer, const wire::PutDirectoryGroup& change) {
    TRY(refused(core::check_sid("sid", change.sid())));
    TRY(refused(core::check_text("note", change.note(), kTextBytesMax)));
    TRY_ASSIGN(const bool known,
               is_there(writer, "SELECT count(*) FROM groups WHERE name = ?", change.group()));
    if (!known) return refuse(Errc::kNotFound, "no group '{}'", change.group().substr(0, 64));
    TRY_ASSIGN(
        const int64_t others,
        writer.state().integer("SELECT count(*) FROM directory_groups WHERE sid <> ?", {change.sid()}));
    if (others >= kDirectoryGroupsMax) {
        return refuse(Errc::kBusy, "there are {} directory groups already, the limit is {}", others,
                      kDirectoryGroupsMax);
    }
    TRY(writer.state().run("INSERT OR REPLACE INTO directory_groups VALUES(?, ?, ?, ?)",
                           {change.sid(), change.group(), change.note(), writer.next_revision()}));
    TRY(writer.emit({.kind = "directory_group", .key = change.sid(), .row = serialize(change)}));
    return {};
}

Outcome<void> remove_directory_group(Writer& writer, const wire::RemoveDirectoryGroup& change) {
    TRY_ASSIGN(const bool known,
               is_there(writer, "SELECT count(*) FROM directory_groups WHERE sid = ?", change.sid()));
    if (!known) return refuse(Errc::kNotFound, "no directory group '{}'", change.sid().substr(0, 64));
    return remove_row(writer, change.sid());
}

Outcome<void> put_directory_user(Writer& writer, const wire::PutDirectoryUser& change) {
    TRY(refused(core::check_user_name(change.user())));
    TRY(refused(core::check_text("full_name", change.full_name(), kTextBytesMax)));
    if (change.sids_size() > kDirectoryGroupsMax)
        return refuse(Errc::kInvalid, "sids: {} of them, the limit is {}", change.sids_size(),
                      kDirectoryGroupsMax);
    TRY_ASSIGN(const auto before, last_ticket(writer, change.user()));
    if (before && *before > change.ticket_s() && !SMACK_BUG("old_ticket_counts")) {
        return refuse(Errc::kConflict, "user '{}': a newer ticket than this one is known",
                      change.user().substr(0, 64));
    }
    // A group that was taken off the list meanwhile is no error: it grants nothing.
    std::vector<std::string> sids;
    for (const std::string& sid : change.sids()) {
        TRY_ASSIGN(const bool listed,
                   is_there(writer, "SELECT count(*) FROM directory_groups WHERE sid = ?", sid));
        if (listed && !std::ranges::contains(sids, sid)) sids.push_back(sid);
    }
    TRY(make_user(writer, change, !sids.empty()));
    sqlite::Database& state = writer.state();
    TRY(state.run("INSERT OR REPLACE INTO directory_users VALUES(?, ?, ?)",
                  {change.user(), change.ticket_s(), writer.next_revision()}));
    TRY(state.run("DELETE FROM directory_members WHERE user_name = ?", {change.user()}));
    for (const std::string& sid : sids)
        TRY(state.run("INSERT INTO directory_members VALUES(?, ?)", {change.user(), sid}));
    TRY(writer.emit({.kind = "directory_user", .key = change.user(), .row = serialize(change)}));
    return {};
}

Outcome<void> forget_group_in_directory(Writer& writer, const std::string& group) {
    if (writer.position().feature_level < kLevelOfDirectoryGroups) return {};
    TRY_ASSIGN(const auto sids, sids_of_group(writer, group));
    for (const std::string& sid : sids) TRY(remove_row(writer, sid));
    return {};
}

Outcome<void> forget_user_in_directory(Writer& writer, const std::string& user) {
    if (writer.position().feature_level < kLevelOfDirectoryGroups) return {};
    TRY_ASSIGN(const auto known, last_ticket(writer, user));
    if (!known) return {};
    TRY(writer.state().run("DELETE FROM directory_members WHERE user_name = ?", {user}));
    TRY(writer.state().run("DELETE FROM directory_users WHERE name = ?", {user}));
    TRY(writer.emit({.kind = "directory_user", .key = user, .removed = true}));
    return {};
}

}  // namespace smackd::storage::state
