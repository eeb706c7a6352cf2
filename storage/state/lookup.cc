#include "storage/state/lookup.h"

#include <array>

#include "storage/state/limits.h"

namespace smackd::storage::state {
namespace {

struct KindQuery {
    std::string_view kind;
    const char* sql;
    uint32_t level = 1;  // feature level at which there are such rows
};
constexpr std::array<KindQuery, 20> kVersions = {{
    {"cluster", "SELECT version FROM cluster WHERE ? = ''"},
    {"machine", "SELECT version FROM machines WHERE name = ?"},
    {"node", "SELECT version FROM nodes WHERE node_id = CAST(? AS INTEGER)"},
    {"user", "SELECT version FROM users WHERE name = ?"},
    {"group", "SELECT version FROM groups WHERE name = ?"},
    {"rule", "SELECT version FROM rules WHERE id = ?"},
    {"setting", "SELECT version FROM settings WHERE name = ?"},
    {"token",
     "SELECT version FROM revoked_tokens WHERE principal || iif(token_id = '', '', '/' || token_id) = ?"},
    {"principal", "SELECT version FROM principals WHERE name = ?"},
    {"secret", "SELECT version FROM secrets WHERE name = ?"},
    {"app", "SELECT version FROM apps WHERE id = ?", kLevelOfApps},
    {"app_group", "SELECT version FROM app_groups WHERE id = ?", kLevelOfApps},
    {"backoff", "SELECT version FROM app_backoffs WHERE app = ?", kLevelOfApps},
    {"deployment", "SELECT version FROM deployments WHERE id = ?", kLevelOfApps},
    {"task", "SELECT version FROM tasks WHERE id = ?", kLevelOfApps},
    {"capacity", "SELECT version FROM capacities WHERE node_id = CAST(? AS INTEGER)", kLevelOfApps},
    {"drain", "SELECT version FROM drains WHERE node_id = CAST(? AS INTEGER)", kLevelOfDrains},
    {"directory_group", "SELECT version FROM directory_groups WHERE sid = ?", kLevelOfDirectoryGroups},
    {"blob", "SELECT version FROM blobs WHERE name = ?", kLevelOfBlobs},
    {"directory_user", "SELECT version FROM directory_users WHERE name = ?", kLevelOfDirectoryGroups},
}};

// The directory's tables came with feature level 5.
constexpr const char* kGroupsBeforeDirectory =
    "SELECT group_name FROM group_members WHERE user_name = ?1 ORDER BY group_name";
constexpr const char* kGroups =
    "SELECT group_name FROM group_members WHERE user_name = ?1 UNION "
    "SELECT group_name FROM directory_members JOIN directory_groups USING(sid) WHERE user_name = ?1 "
    "ORDER BY group_name";
constexpr const char* kRulesBeforeDirectory =
    "SELECT id, subject, actions, tenant, path FROM rules WHERE subject IN ('user:*', 'user:' || ?1) "
    "OR subject IN (SELECT 'group:' || group_name FROM group_members WHERE user_name = ?1) ORDER BY id";
constexpr const char* kRules =
    "SELECT id, subject, actions, tenant, path FROM rules WHERE subject IN ('user:*', 'user:' || ?1) "
    "OR subject IN (SELECT 'group:' || group_name FROM group_members WHERE user_name = ?1 UNION "
    "SELECT 'group:' || group_name FROM directory_members JOIN directory_groups USING(sid) "
    "WHERE user_name = ?1) ORDER BY id";

// The range is that of the texts that begin with "task:".
constexpr const char* kRulesOfTasks =
    "SELECT id, subject, actions, tenant, path FROM rules WHERE subject >= 'task:' AND subject < 'task;' "
    "ORDER BY id";

core::Result<std::vector<core::Rule>> read_rules(sqlite::Cursor cursor) {
    std::vector<core::Rule> rules;
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return rules;
        const sqlite::Statement& row = cursor.row();
        TRY_ASSIGN(const uint8_t actions, actions_from_text(row.text(2)));
        rules.push_back({std::string(row.text(0)), std::string(row.text(1)), actions,
                         std::string(row.text(3)), std::string(row.text(4))});
    }
}

}  // namespace

core::Result<std::optional<uint64_t>> row_version(sqlite::Database& state, std::string_view kind,
                                                  std::string_view key, uint32_t feature_level) {
    for (const KindQuery& query : kVersions) {
        if (query.kind != kind || query.level > feature_level) continue;
        TRY_ASSIGN(const int64_t version, state.integer(query.sql, {key}));
        return std::optional<uint64_t>(static_cast<uint64_t>(version));
    }
    return std::optional<uint64_t>();
}

core::Result<std::string> cluster_realm(sqlite::Database& state) {
    TRY_ASSIGN(auto cursor, state.query("SELECT realm FROM cluster"));
    TRY_ASSIGN(const bool found, cursor.next());
    return found ? std::string(cursor.row().text(0)) : std::string();
}

core::Result<std::vector<std::string>> groups_of(sqlite::Database& state, std::string_view user,
                                                 uint32_t feature_level) {
    std::vector<std::string> groups;
    TRY_ASSIGN(
        auto cursor,
        state.query(feature_level < kLevelOfDirectoryGroups ? kGroupsBeforeDirectory : kGroups, {user}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return groups;
        groups.emplace_back(cursor.row().text(0));
    }
}

core::Result<std::vector<core::Rule>> rules_for(sqlite::Database& state, std::string_view user,
                                                uint32_t feature_level) {
    TRY_ASSIGN(auto cursor,
               state.query(feature_level < kLevelOfDirectoryGroups ? kRulesBeforeDirectory : kRules, {user}));
    return read_rules(std::move(cursor));
}

core::Result<std::vector<core::Rule>> rules_of_tasks(sqlite::Database& state) {
    TRY_ASSIGN(auto cursor, state.query(kRulesOfTasks));
    return read_rules(std::move(cursor));
}

std::string actions_to_text(uint8_t actions) {
    std::string text;
    for (const std::string_view name : core::action_names(actions)) {
        if (!text.empty()) text += ',';
        text += name;
    }
    return text;
}

core::Result<uint8_t> actions_from_text(std::string_view text) {
    unsigned actions = 0;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        TRY_ASSIGN(const core::Action action, core::parse_action(text.substr(0, comma)));
        actions |= static_cast<unsigned>(action);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return static_cast<uint8_t>(actions);
}

}  // namespace smackd::storage::state
