#include "storage/state/schema.h"

#include "core/assert.h"
#include "storage/state/app_claims.h"
#include "storage/state/limits.h"

namespace smackd::storage::state {
namespace {

// `version` is the revision number of a row's last change. What apply decides, it decides from these tables.
constexpr const char* kState = R"sql(
CREATE TABLE position(
    id INTEGER PRIMARY KEY CHECK(id = 1),
    applied_index INTEGER NOT NULL,   -- last Raft entry whose effects are here
    realm_index INTEGER NOT NULL,     -- last Raft entry that changed realm.db
    secrets_index INTEGER NOT NULL,   -- last Raft entry that changed secrets.db
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    feature_level INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,         -- the leader's stamp of the last command; never runs backwards
    feed_floor INTEGER NOT NULL,      -- the feed holds every revision above this one
    result_number INTEGER NOT NULL    -- results recorded so far
);
INSERT INTO position VALUES(1, 0, 0, 0, 1, 0, 1, 0, 0, 0);

CREATE TABLE cluster(
    id INTEGER PRIMARY KEY CHECK(id = 1),
    cluster_id TEXT NOT NULL, name TEXT NOT NULL, realm TEXT NOT NULL, embedded_realm INTEGER NOT NULL,
    ca_certificate_pem TEXT NOT NULL, version INTEGER NOT NULL
);
CREATE TABLE machines(
    name TEXT PRIMARY KEY, roles TEXT NOT NULL, state TEXT NOT NULL, generation INTEGER NOT NULL,
    version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE machine_attributes(
    machine TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(machine, name)
) WITHOUT ROWID;
CREATE TABLE nodes(
    node_id INTEGER PRIMARY KEY, machine TEXT NOT NULL, address TEXT NOT NULL, certificate_serial TEXT NOT NULL,
    certificate_not_after_ms INTEGER NOT NULL, software TEXT NOT NULL, version INTEGER NOT NULL
);
CREATE TABLE users(
    name TEXT PRIMARY KEY, full_name TEXT NOT NULL, disabled INTEGER NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE groups(name TEXT PRIMARY KEY, description TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE group_members(
    group_name TEXT NOT NULL, user_name TEXT NOT NULL, PRIMARY KEY(group_name, user_name)
) WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members(user_name);
CREATE TABLE rules(
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, actions TEXT NOT NULL, tenant TEXT NOT NULL, path TEXT NOT NULL,
    version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX rules_by_subject ON rules(subject);
CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE revoked_tokens(
    principal TEXT NOT NULL, token_id TEXT NOT NULL, issued_before_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    version INTEGER NOT NULL, PRIMARY KEY(principal, token_id)
) WITHOUT ROWID;
-- Which principals and secrets there are; what they hold is in the other two files.
CREATE TABLE principals(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE secrets(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE audit(
    revision INTEGER PRIMARY KEY,     -- after the command
    epoch INTEGER NOT NULL, time_ms INTEGER NOT NULL, actor_kind TEXT NOT NULL, principal TEXT NOT NULL,
    door TEXT NOT NULL, summary TEXT NOT NULL
);
CREATE TABLE feed(
    revision INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    change BLOB NOT NULL              -- wire.FeedChange
);
CREATE TABLE results(
    client INTEGER NOT NULL, sequence INTEGER NOT NULL, number INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    result BLOB NOT NULL,             -- wire.CommandResult
    PRIMARY KEY(client, sequence)
) WITHOUT ROWID;
CREATE INDEX results_by_number ON results(number);
)sql";

constexpr const char* kRealm = R"sql(
CREATE TABLE position(id INTEGER PRIMARY KEY CHECK(id = 1), applied_index INTEGER NOT NULL);
INSERT INTO position VALUES(1, 0);
CREATE TABLE principals(name TEXT PRIMARY KEY, record BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
)sql";

constexpr const char* kSecrets = R"sql(
CREATE TABLE position(id INTEGER PRIMARY KEY CHECK(id = 1), applied_index INTEGER NOT NULL);
INSERT INTO position VALUES(1, 0);
CREATE TABLE secrets(name TEXT PRIMARY KEY, sealed BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// Level 2: why a rule is there; the audit can be read by person; nodes join by Kerberos and no node id is
// given twice.
constexpr const char* kLevel2 = R"sql(
ALTER TABLE rules ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_by_principal ON audit(principal, revision);
ALTER TABLE nodes ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN zone TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN public_key_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN proved_ms INTEGER NOT NULL DEFAULT 0;
UPDATE nodes SET roles = 'server';  -- until now only servers that a bootstrap made
CREATE TABLE node_ids(id INTEGER PRIMARY KEY CHECK(id = 1), last INTEGER NOT NULL);  -- the highest ever given
INSERT INTO node_ids SELECT 1, ifnull(max(node_id), 0) FROM nodes;
)sql";

// Level 4: applications. Rows hold their message whole; the columns beside it are what apply and people ask
// by.
constexpr const char* kLevel4 = R"sql(
CREATE TABLE apps(
    id TEXT PRIMARY KEY, version_ms INTEGER NOT NULL, instances INTEGER NOT NULL, definition BLOB NOT NULL,
    version INTEGER NOT NULL
);
CREATE TABLE app_versions(
    app TEXT NOT NULL, version_ms INTEGER NOT NULL, definition BLOB NOT NULL, PRIMARY KEY(app, version_ms)
);
CREATE TABLE app_claims(                -- what of the edge an app has: "port 19001", "host example.org"
    claim TEXT NOT NULL, app TEXT NOT NULL, PRIMARY KEY(claim, app)
) WITHOUT ROWID;
CREATE INDEX app_claims_by_app ON app_claims(app);
CREATE TABLE app_groups(id TEXT PRIMARY KEY, definition BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE app_backoffs(app TEXT PRIMARY KEY, backoff BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE deployments(id TEXT PRIMARY KEY, deployment BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE tasks(
    id TEXT PRIMARY KEY, app TEXT NOT NULL, node_id INTEGER NOT NULL, machine TEXT NOT NULL, state TEXT NOT NULL,
    desired TEXT NOT NULL, ended INTEGER NOT NULL, cpus_milli INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
    disk_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL, task BLOB NOT NULL, version INTEGER NOT NULL
);
CREATE INDEX tasks_by_app ON tasks(app);
CREATE INDEX tasks_by_node ON tasks(node_id, ended);
CREATE TABLE task_ports(
    node_id INTEGER NOT NULL, port INTEGER NOT NULL, task TEXT NOT NULL, PRIMARY KEY(node_id, port)
) WITHOUT ROWID;
CREATE INDEX task_ports_by_task ON task_ports(task);
CREATE TABLE capacities(                -- what nodes have for tasks
    node_id INTEGER PRIMARY KEY, cpus_milli INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
    disk_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL, capacity BLOB NOT NULL, version INTEGER NOT NULL
);
)sql";

// Level 5: groups of a Windows directory, and which of them each user's last ticket named.
constexpr const char* kLevel5 = R"sql(
CREATE TABLE directory_groups(
    sid TEXT PRIMARY KEY, group_name TEXT NOT NULL, note TEXT NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE directory_users(name TEXT PRIMARY KEY, ticket_s INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE directory_members(
    user_name TEXT NOT NULL, sid TEXT NOT NULL, PRIMARY KEY(user_name, sid)
) WITHOUT ROWID;
)sql";

// Level 7: nodes are drained.
constexpr const char* kLevel7 = R"sql(
CREATE TABLE drains(node_id INTEGER PRIMARY KEY, drain BLOB NOT NULL, version INTEGER NOT NULL);
)sql";

// Level 8: blobs, and the versions of apps whose tasks fetch them: bytes are kept as long as either names
// them.
constexpr const char* kLevel8 = R"sql(
CREATE TABLE blobs(
    name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, image TEXT NOT NULL, blob BLOB NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX blobs_by_sha256 ON blobs(sha256);
CREATE TABLE blob_uses(
    sha256 TEXT NOT NULL, app TEXT NOT NULL, version_ms INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY(sha256, app, version_ms)
) WITHOUT ROWID;
CREATE INDEX blob_uses_by_app ON blob_uses(app);
)sql";

core::Result<void> create(sqlite::Database& database, const char* tables) {
    TRY_ASSIGN(const int64_t found,
               database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'position'"));
    if (found != 0) return {};
    TRY(database.begin_write());
    auto made = database.execute(tables);
    if (made) made = database.commit();
    if (!made) database.rollback();
    return made;
}

}  // namespace

core::Result<void> create_state_schema(sqlite::Database& database) {
    return create(database, kState);
}
core::Result<void> create_realm_schema(sqlite::Database& database) {
    return create(database, kRealm);
}
core::Result<void> create_secrets_schema(sqlite::Database& database) {
    return create(database, kSecrets);
}

core::Result<void> migrate(sqlite::Database& database, uint32_t level) {
    SMACK_ASSERT(level >= 2 && level <= kFeatureLevelMax);
    if (level == 2) return database.execute(kLevel2);
    if (level == kLevelOfApps) return database.execute(kLevel4);
    if (level == kLevelOfDirectoryGroups) return database.execute(kLevel5);
    if (level == kLevelOfNames) return add_claims_of_names(database);
    if (level == kLevelOfDrains) return database.execute(kLevel7);
    if (level == kLevelOfBlobs) return database.execute(kLevel8);
    return {};
}

const std::vector<TableQuery>& state_tables() {
    // Not applied_index: entries without commands move it and nothing else.
    static const std::vector<TableQuery> tables = {
        {"position",
         "SELECT epoch, revision, feature_level, time_ms, feed_floor, result_number FROM position"},
        {"cluster", "SELECT * FROM cluster"},
        {"machines", "SELECT * FROM machines ORDER BY name"},
        {"machine_attributes", "SELECT * FROM machine_attributes ORDER BY machine, name"},
        {"nodes", "SELECT * FROM nodes ORDER BY node_id"},
        {"users", "SELECT * FROM users ORDER BY name"},
        {"groups", "SELECT * FROM groups ORDER BY name"},
        {"group_members", "SELECT * FROM group_members ORDER BY group_name, user_name"},
        {"rules", "SELECT * FROM rules ORDER BY id"},
        {"settings", "SELECT * FROM settings ORDER BY name"},
        {"revoked_tokens", "SELECT * FROM revoked_tokens ORDER BY principal, token_id"},
        {"principals", "SELECT * FROM principals ORDER BY name"},
        {"secrets", "SELECT * FROM secrets ORDER BY name"},
        {"apps", "SELECT * FROM apps ORDER BY id", kLevelOfApps},
        {"app_versions", "SELECT * FROM app_versions ORDER BY app, version_ms", kLevelOfApps},
        {"app_claims", "SELECT * FROM app_claims ORDER BY claim, app", kLevelOfApps},
        {"app_groups", "SELECT * FROM app_groups ORDER BY id", kLevelOfApps},
        {"app_backoffs", "SELECT * FROM app_backoffs ORDER BY app", kLevelOfApps},
        {"deployments", "SELECT * FROM deployments ORDER BY id", kLevelOfApps},
        {"tasks", "SELECT * FROM tasks ORDER BY id", kLevelOfApps},
        {"task_ports", "SELECT * FROM task_ports ORDER BY node_id, port", kLevelOfApps},
        {"capacities", "SELECT * FROM capacities ORDER BY node_id", kLevelOfApps},
        {"audit", "SELECT * FROM audit ORDER BY revision"},
        {"feed", "SELECT * FROM feed ORDER BY revision"},
        {"results", "SELECT * FROM results ORDER BY client, sequence"},
        {"node_ids", "SELECT * FROM node_ids", 2},
        {"directory_groups", "SELECT * FROM directory_groups ORDER BY sid", 5},
        {"directory_users", "SELECT * FROM directory_users ORDER BY name", 5},
        {"directory_members", "SELECT * FROM directory_members ORDER BY user_name, sid", 5},
        {"drains", "SELECT * FROM drains ORDER BY node_id", kLevelOfDrains},
        {"blobs", "SELECT * FROM blobs ORDER BY name", kLevelOfBlobs},
        {"blob_uses", "SELECT * FROM blob_uses ORDER BY sha256, app, version_ms", kLevelOfBlobs},
    };
    return tables;
}

const std::vector<TableQuery>& realm_tables() {
    static const std::vector<TableQuery> tables = {
        {"realm.principals", "SELECT * FROM principals ORDER BY name"}};
    return tables;
}

const std::vector<TableQuery>& secrets_tables() {
    static const std::vector<TableQuery> tables = {
        {"secrets.secrets", "SELECT * FROM secrets ORDER BY name"}};
    return tables;
}

}  // namespace smackd::storage::state
