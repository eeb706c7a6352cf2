#include "services/agent/users.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "core/planted.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::Result;

std::optional<uint32_t> parse_id(std::string_view text) {
    uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return id;
}

// Calls `take` with up to seven fields of each line; stops when it returns true.
template <class Take>
void each_entry(std::string_view text, Take take) {
    text = text.substr(0, kUserFileBytesMax);
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        std::array<std::string_view, 7> fields{};
        for (size_t i = 0; i < fields.size(); i++) {
            const size_t end = line.find(':');
            fields[i] = line.substr(0, end);
            if (end == std::string_view::npos) break;
            line.remove_prefix(end + 1);
        }
        if (take(fields)) return;
    }
}

bool lists(std::string_view members, std::string_view name) {
    while (!members.empty()) {
        const size_t end = members.find(',');
        if (members.substr(0, end) == name) return true;
        if (end == std::string_view::npos) return false;
        members.remove_prefix(end + 1);
    }
    return false;
}

// The entry of the name, or of the number; nothing is not yet wrong for a number.
Result<std::string> look_up_user(std::string_view user, std::string_view passwd, TaskUser& into) {
    const std::optional<uint32_t> number = parse_id(user);
    std::optional<std::string> name;
    each_entry(passwd, [&](const auto& fields) {
        const auto uid = parse_id(fields[2]);
        const auto gid = parse_id(fields[3]);
        if (!uid || !gid || (fields[0] != user && (!number || *uid != *number))) return false;
        into.uid = *uid;
        into.gid = *gid;
        if (fields[5].starts_with('/')) into.home = fields[5];
        name = std::string(fields[0]);
        return true;
    });
    if (name) return *name;
    if (!number) return fail(Errc::kNotFound, "user: '{}' is not in the task's /etc/passwd", user);
    into.uid = *number;
    return std::string();
}

Result<uint32_t> look_up_group(std::string_view name, std::string_view group) {
    if (const auto number = parse_id(name)) return *number;
    std::optional<uint32_t> found;
    each_entry(group, [&](const auto& fields) {
        if (fields[0] == name) found = parse_id(fields[2]);
        return found.has_value();
    });
    if (found) return *found;
    return fail(Errc::kNotFound, "user: group '{}' is not in the task's /etc/group", name);
}

}  // namespace

Result<TaskUser> find_user(std::string_view user, std::string_view passwd, std::string_view group) {
    TaskUser found;
    const size_t colon = user.find(':');
    const std::string_view who = user.substr(0, colon);
    TRY_ASSIGN(const std::string name, look_up_user(who.empty() ? "0" : who, passwd, found));
    if (colon != std::string_view::npos && colon + 1 < user.size()) {
        TRY_ASSIGN(found.gid, look_up_group(user.substr(colon + 1), group));
    } else if (!name.empty()) {
        each_entry(group, [&](const auto& fields) {
            const auto gid = parse_id(fields[2]);
            if (gid && *gid < kIdsPerTask && lists(fields[3], name)) found.groups.push_back(*gid);
            return found.groups.size() >= kGroupsMax;
        });
    }
    if ((found.uid >= kIdsPerTask || found.gid >= kIdsPerTask) && !SMACK_BUG("fuzz_task_user"))
        return fail(Errc::kInvalid, "user: ids of a task are below {}", kIdsPerTask);
    return found;
}

}  // namespace smackd::agent
