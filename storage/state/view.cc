// The queries of View. Each table has one SELECT list that lists and single reads share.
#include "storage/state/limits.h"
#include "storage/state/lookup.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {
namespace {

using sqlite::Statement;

/// Every row of a query through `read(row)`.
template <class T, class Read>
core::Result<std::vector<T>> collect(core::Result<sqlite::Cursor> opened, Read read) {
    TRY_ASSIGN(auto cursor, std::move(opened));
    std::vector<T> rows;
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return rows;
        rows.push_back(read(cursor.row()));
    }
}

template <class T, class Read>
core::Result<std::optional<T>> first(core::Result<sqlite::Cursor> opened, Read read) {
    TRY_ASSIGN(auto cursor, std::move(opened));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<T>();
    return std::optional<T>(read(cursor.row()));
}

std::string string(const Statement& row, int column) {
    return std::string(row.text(column));
}

/// Calls `each` with the parts of "a,b,c".
template <class Each>
void split(std::string_view text, Each each) {
    while (!text.empty()) {
        const size_t comma = text.find(',');
        each(std::string(text.substr(0, comma)));
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
}

Row<wire::PutUser> read_user(const Statement& row) {
    Row<wire::PutUser> user;
    user.put.set_name(string(row, 0));
    user.put.set_full_name(string(row, 1));
    user.put.set_disabled(row.integer(2) != 0);
    user.version = row.number(3);
    return user;
}

Row<wire::PutGroup> read_group(const Statement& row) {
    Row<wire::PutGroup> group;
    group.put.set_name(string(row, 0));
    group.put.set_description(string(row, 1));
    group.version = row.number(2);
    return group;
}

Row<wire::PutDirectoryGroup> read_directory_group(const Statement& row) {
    Row<wire::PutDirectoryGroup> group;
    group.put.set_sid(string(row, 0));
    group.put.set_group(string(row, 1));
    group.put.set_note(string(row, 2));
    group.version = row.number(3);
    return group;
}

Row<wire::PutRule> read_rule(const Statement& row) {
    Row<wire::PutRule> rule;
    rule.put.set_id(string(row, 0));
    rule.put.set_subject(string(row, 1));
    split(row.text(2), [&](std::string action) { rule.put.add_actions(std::move(action)); });
    rule.put.set_tenant(string(row, 3));
    rule.put.set_path(string(row, 4));
    rule.version = row.number(5);
    rule.put.set_note(string(row, 6));
    return rule;
}

Row<wire::PutMachine> read_machine(const Statement& row) {
    Row<wire::PutMachine> machine;
    machine.put.set_name(string(row, 0));
    split(row.text(1), [&](std::string role) { machine.put.add_roles(std::move(role)); });
    machine.put.set_state(row.text(2) == "allowed" ? wire::MACHINE_ALLOWED : wire::MACHINE_SUSPENDED);
    machine.put.set_generation(row.number(3));
    machine.version = row.number(4);
    return machine;
}

Row<wire::PutNode> read_node(const Statement& row) {
    Row<wire::PutNode> node;
    node.put.set_node_id(row.number(0));
    node.put.set_machine(string(row, 1));
    node.put.set_address(string(row, 2));
    node.put.set_certificate_serial(string(row, 3));
    node.put.set_certificate_not_after_ms(row.integer(4));
    node.put.set_version(string(row, 5));
    node.version = row.number(6);
    split(row.text(7), [&](std::string role) { node.put.add_roles(std::move(role)); });
    node.put.set_zone(string(row, 8));
    node.put.set_generation(row.number(9));
    node.put.set_epoch(row.number(10));
    node.put.set_public_key_sha256(string(row, 11));
    node.put.set_proved_ms(row.integer(12));
    return node;
}

Row<wire::PutSetting> read_setting(const Statement& row) {
    Row<wire::PutSetting> setting;
    setting.put.set_name(string(row, 0));
    setting.put.set_value(string(row, 1));
    setting.version = row.number(2);
    return setting;
}

Row<wire::RevokeTokens> read_revocation(const Statement& row) {
    Row<wire::RevokeTokens> tokens;
    tokens.put.set_principal(string(row, 0));
    tokens.put.set_token_id(string(row, 1));
    tokens.put.set_issued_before_ms(row.integer(2));
    tokens.put.set_expires_ms(row.integer(3));
    tokens.version = row.number(4);
    return tokens;
}

AuditRow read_audit(const Statement& row) {
    return {{row.number(1), row.number(0)},
            row.integer(2),
            string(row, 3),
            string(row, 4),
            string(row, 5),
            string(row, 6)};
}

std::pair<std::string, uint64_t> read_name(const Statement& row) {
    return {string(row, 0), row.number(1)};
}

core::Result<void> add_members(sqlite::Database& state, wire::PutGroup& group) {
    TRY_ASSIGN(const auto members,
               collect<std::string>(
                   state.query("SELECT user_name FROM group_members WHERE group_name = ? ORDER BY user_name",
                               {group.name()}),
                   [](const Statement& row) { return string(row, 0); }));
    for (const std::string& member : members) group.add_members(member);
    return {};
}

core::Result<void> add_attributes(sqlite::Database& state, wire::PutMachine& machine) {
    TRY_ASSIGN(auto cursor,
               state.query("SELECT name, value FROM machine_attributes WHERE machine = ?", {machine.name()}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return {};
        (*machine.mutable_attributes())[string(cursor.row(), 0)] = string(cursor.row(), 1);
    }
}

}  // namespace

View::~View() {
    if (database_ != nullptr) database_->rollback();
}

core::Result<MaybeRow<wire::InitCluster>> View::cluster() {
    return first<Row<wire::InitCluster>>(
        database_->query(
            "SELECT cluster_id, name, realm, embedded_realm, ca_certificate_pem, version FROM cluster"),
        [](const Statement& row) {
            Row<wire::InitCluster> cluster;
            cluster.put.set_cluster_id(string(row, 0));
            cluster.put.set_cluster_name(string(row, 1));
            cluster.put.set_realm(string(row, 2));
            cluster.put.set_embedded_realm(row.integer(3) != 0);
            cluster.put.set_ca_certificate_pem(string(row, 4));
            cluster.version = row.number(5);
            return cluster;
        });
}

core::Result<Rows<wire::PutUser>> View::users() {
    return collect<Row<wire::PutUser>>(
        database_->query("SELECT name, full_name, disabled, version FROM users ORDER BY name"), read_user);
}

core::Result<MaybeRow<wire::PutUser>> View::user(std::string_view name) {
    return first<Row<wire::PutUser>>(
        database_->query("SELECT name, full_name, disabled, version FROM users WHERE name = ?", {name}),
        read_user);
}

core::Result<Rows<wire::PutGroup>> View::groups() {
    TRY_ASSIGN(
        auto groups,
        collect<Row<wire::PutGroup>>(
            database_->query("SELECT name, description, version FROM groups ORDER BY name"), read_group));
    for (auto& group : groups) TRY(add_members(*database_, group.put));
    return groups;
}

core::Result<MaybeRow<wire::PutGroup>> View::group(std::string_view name) {
    TRY_ASSIGN(auto group,
               first<Row<wire::PutGroup>>(
                   database_->query("SELECT name, description, version FROM groups WHERE name = ?", {name}),
                   read_group));
    if (group) TRY(add_members(*database_, group->put));
    return group;
}

core::Result<std::vector<std::string>> View::groups_of(std::string_view user) {
    return state::groups_of(*database_, user, point_.feature_level);
}

core::Result<Rows<wire::PutDirectoryGroup>> View::directory_groups() {
    if (point_.feature_level < kLevelOfDirectoryGroups) return Rows<wire::PutDirectoryGroup>();
    return collect<Row<wire::PutDirectoryGroup>>(
        database_->query("SELECT sid, group_name, note, version FROM directory_groups ORDER BY sid"),
        read_directory_group);
}

core::Result<MaybeRow<wire::PutDirectoryGroup>> View::directory_group(std::string_view sid) {
    if (point_.feature_level < kLevelOfDirectoryGroups) return MaybeRow<wire::PutDirectoryGroup>();
    return first<Row<wire::PutDirectoryGroup>>(
        database_->query("SELECT sid, group_name, note, version FROM directory_groups WHERE sid = ?", {sid}),
        read_directory_group);
}

core::Result<Rows<wire::PutDirectoryUser>> View::directory_users() {
    Rows<wire::PutDirectoryUser> users;
    if (point_.feature_level < kLevelOfDirectoryGroups) return users;
    TRY_ASSIGN(users,
               collect<Row<wire::PutDirectoryUser>>(
                   database_->query("SELECT name, ticket_s, version FROM directory_users ORDER BY name"),
                   [](const Statement& row) {
                       Row<wire::PutDirectoryUser> user;
                       user.put.set_user(string(row, 0));
                       user.put.set_ticket_s(row.integer(1));
                       user.version = row.number(2);
                       return user;
                   }));
    for (auto& user : users) {
        TRY_ASSIGN(const auto sids,
                   collect<std::string>(
                       database_->query("SELECT sid FROM directory_members WHERE user_name = ? ORDER BY sid",
                                        {user.put.user()}),
                       [](const Statement& row) { return string(row, 0); }));
        for (const std::string& sid : sids) user.put.add_sids(sid);
    }
    return users;
}

// Column `note` came with feature level 2.
core::Result<Rows<wire::PutRule>> View::rules() {
    const char* sql = point_.feature_level >= 2
                          ? "SELECT id, subject, actions, tenant, path, version, note FROM rules ORDER BY id"
                          : "SELECT id, subject, actions, tenant, path, version, '' FROM rules ORDER BY id";
    return collect<Row<wire::PutRule>>(database_->query(sql), read_rule);
}

core::Result<MaybeRow<wire::PutRule>> View::rule(std::string_view id) {
    const char* sql = point_.feature_level >= 2
                          ? "SELECT id, subject, actions, tenant, path, version, note FROM rules WHERE id = ?"
                          : "SELECT id, subject, actions, tenant, path, version, '' FROM rules WHERE id = ?";
    return first<Row<wire::PutRule>>(database_->query(sql, {id}), read_rule);
}

core::Result<std::vector<core::Rule>> View::policy() {
    TRY_ASSIGN(const auto rows, rules());
    std::vector<core::Rule> policy;
    for (const auto& [put, version] : rows) {
        unsigned actions = 0;
        for (const std::string& text : put.actions()) {
            TRY_ASSIGN(const core::Action action, core::parse_action(text));
            actions |= static_cast<unsigned>(action);
        }
        policy.push_back({put.id(), put.subject(), static_cast<uint8_t>(actions), put.tenant(), put.path()});
    }
    return policy;
}

core::Result<std::vector<core::Rule>> View::policy_for(std::string_view user) {
    return rules_for(*database_, user, point_.feature_level);
}

core::Result<Rows<wire::PutMachine>> View::machines() {
    TRY_ASSIGN(
        auto machines,
        collect<Row<wire::PutMachine>>(
            database_->query("SELECT name, roles, state, generation, version FROM machines ORDER BY name"),
            read_machine));
    for (auto& machine : machines) TRY(add_attributes(*database_, machine.put));
    return machines;
}

core::Result<MaybeRow<wire::PutMachine>> View::machine(std::string_view name) {
    TRY_ASSIGN(auto machine,
               first<Row<wire::PutMachine>>(
                   database_->query(
                       "SELECT name, roles, state, generation, version FROM machines WHERE name = ?", {name}),
                   read_machine));
    if (machine) TRY(add_attributes(*database_, machine->put));
    return machine;
}

// What AdmitNode knows came with feature level 2; before it every node was a server.
core::Result<Rows<wire::PutNode>> View::nodes() {
    const char* sql =
        point_.feature_level >= 2
            ? "SELECT node_id, machine, address, certificate_serial, certificate_not_after_ms, software, "
              "version, "
              "roles, zone, generation, epoch, public_key_sha256, proved_ms FROM nodes ORDER BY node_id"
            : "SELECT node_id, machine, address, certificate_serial, certificate_not_after_ms, software, "
              "version, "
              "'server', '', 0, 0, '', 0 FROM nodes ORDER BY node_id";
    return collect<Row<wire::PutNode>>(database_->query(sql), read_node);
}

core::Result<MaybeRow<wire::PutNode>> View::node(core::NodeId id) {
    const char* sql =
        point_.feature_level >= 2
            ? "SELECT node_id, machine, address, certificate_serial, certificate_not_after_ms, software, "
              "version, "
              "roles, zone, generation, epoch, public_key_sha256, proved_ms FROM nodes WHERE node_id = ?"
            : "SELECT node_id, machine, address, certificate_serial, certificate_not_after_ms, software, "
              "version, "
              "'server', '', 0, 0, '', 0 FROM nodes WHERE node_id = ?";
    return first<Row<wire::PutNode>>(database_->query(sql, {id.value}), read_node);
}

core::Result<uint64_t> View::last_node_id() {
    const char* sql =
        point_.feature_level >= 2 ? "SELECT last FROM node_ids" : "SELECT ifnull(max(node_id), 0) FROM nodes";
    TRY_ASSIGN(const int64_t last, database_->integer(sql));
    return static_cast<uint64_t>(last);
}

core::Result<Rows<wire::PutSetting>> View::settings() {
    return collect<Row<wire::PutSetting>>(
        database_->query("SELECT name, value, version FROM settings ORDER BY name"), read_setting);
}

core::Result<MaybeRow<wire::PutSetting>> View::setting(std::string_view name) {
    return first<Row<wire::PutSetting>>(
        database_->query("SELECT name, value, version FROM settings WHERE name = ?", {name}), read_setting);
}

core::Result<Rows<wire::RevokeTokens>> View::revoked_tokens() {
    return collect<Row<wire::RevokeTokens>>(
        database_->query(
            "SELECT principal, token_id, issued_before_ms, expires_ms, version FROM revoked_tokens "
            "ORDER BY principal, token_id"),
        read_revocation);
}

core::Result<std::vector<std::pair<std::string, uint64_t>>> View::principals() {
    return collect<std::pair<std::string, uint64_t>>(
        database_->query("SELECT name, version FROM principals ORDER BY name"), read_name);
}

core::Result<std::vector<std::pair<std::string, uint64_t>>> View::secrets() {
    return collect<std::pair<std::string, uint64_t>>(
        database_->query("SELECT name, version FROM secrets ORDER BY name"), read_name);
}

core::Result<std::vector<AuditRow>> View::audit(uint64_t before, uint32_t limit) {
    const uint64_t below = before == 0 ? static_cast<uint64_t>(INT64_MAX) : before;
    return collect<AuditRow>(
        database_->query("SELECT revision, epoch, time_ms, actor_kind, principal, door, summary FROM audit "
                         "WHERE revision < ? ORDER BY revision DESC LIMIT ?",
                         {below, limit}),
        read_audit);
}

core::Result<std::vector<feed::RecordPtr>> View::feed_after(uint64_t after, size_t count) {
    TRY_ASSIGN(auto cursor,
               database_->query("SELECT change FROM feed WHERE revision > ? ORDER BY revision LIMIT ?",
                                {after, static_cast<uint64_t>(count)}));
    std::vector<feed::RecordPtr> records;
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return records;
        TRY_ASSIGN(auto record, feed::decode_record(core::Bytes(cursor.row().blob(0))));
        records.push_back(std::move(record));
    }
}

}  // namespace smackd::storage::state
