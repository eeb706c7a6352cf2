// The queries of View for applications: rows that hold their message whole.
#include "storage/state/app_rows.h"
#include "storage/state/blob_rows.h"
#include "storage/state/limits.h"
#include "storage/state/reader.h"

namespace smackd::storage::state {
namespace {

/// Rows of (message, version).
template <class Message>
core::Result<Rows<Message>> collect(core::Result<sqlite::Cursor> opened) {
    TRY_ASSIGN(auto cursor, std::move(opened));
    Rows<Message> rows;
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return rows;
        Row<Message> row;
        const core::BytesView bytes = cursor.row().blob(0);
        if (!row.put.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
            return core::fail(core::Errc::kCorrupt, "a row of the state cannot be read");
        }
        row.version = cursor.row().number(1);
        rows.push_back(std::move(row));
    }
}

template <class Message>
core::Result<MaybeRow<Message>> first(core::Result<sqlite::Cursor> opened) {
    TRY_ASSIGN(auto rows, collect<Message>(std::move(opened)));
    if (rows.empty()) return MaybeRow<Message>();
    return MaybeRow<Message>(std::move(rows.front()));
}

}  // namespace

core::Result<Rows<wire::AppDefinition>> View::apps() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::AppDefinition>();
    return collect<wire::AppDefinition>(database_->query("SELECT definition, version FROM apps ORDER BY id"));
}

core::Result<MaybeRow<wire::AppDefinition>> View::app(std::string_view id) {
    if (point_.feature_level < kLevelOfApps) return MaybeRow<wire::AppDefinition>();
    return first<wire::AppDefinition>(
        database_->query("SELECT definition, version FROM apps WHERE id = ?", {id}));
}

core::Result<std::vector<int64_t>> View::app_versions(std::string_view id) {
    std::vector<int64_t> versions;
    if (point_.feature_level < kLevelOfApps) return versions;
    TRY_ASSIGN(
        auto cursor,
        database_->query("SELECT version_ms FROM app_versions WHERE app = ? ORDER BY version_ms DESC", {id}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return versions;
        versions.push_back(cursor.row().integer(0));
    }
}

core::Result<std::optional<wire::AppDefinition>> View::app_version(std::string_view id, int64_t version_ms) {
    if (point_.feature_level < kLevelOfApps) return std::optional<wire::AppDefinition>();
    TRY_ASSIGN(auto row, first<wire::AppDefinition>(database_->query(
                             "SELECT definition, 0 FROM app_versions WHERE app = ? AND version_ms = ?",
                             {id, version_ms})));
    if (!row) return std::optional<wire::AppDefinition>();
    return std::optional<wire::AppDefinition>(std::move(row->put));
}

core::Result<Rows<wire::GroupDefinition>> View::app_groups() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::GroupDefinition>();
    return collect<wire::GroupDefinition>(
        database_->query("SELECT definition, version FROM app_groups ORDER BY id"));
}

core::Result<Rows<wire::AppBackoff>> View::app_backoffs() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::AppBackoff>();
    return collect<wire::AppBackoff>(
        database_->query("SELECT backoff, version FROM app_backoffs ORDER BY app"));
}

core::Result<Rows<wire::Deployment>> View::deployments() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::Deployment>();
    return collect<wire::Deployment>(
        database_->query("SELECT deployment, version FROM deployments ORDER BY id"));
}

core::Result<Rows<wire::Task>> View::tasks() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::Task>();
    return collect<wire::Task>(database_->query("SELECT task, version FROM tasks ORDER BY id"));
}

core::Result<Rows<wire::Task>> View::tasks_of(std::string_view app) {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::Task>();
    return collect<wire::Task>(
        database_->query("SELECT task, version FROM tasks WHERE app = ? ORDER BY id", {app}));
}

core::Result<MaybeRow<wire::Task>> View::task(std::string_view id) {
    if (point_.feature_level < kLevelOfApps) return MaybeRow<wire::Task>();
    return first<wire::Task>(database_->query("SELECT task, version FROM tasks WHERE id = ?", {id}));
}

core::Result<std::set<std::string>> View::own_tasks(core::NodeId node) {
    std::set<std::string> own;
    if (point_.feature_level < kLevelOfApps) return own;
    TRY_ASSIGN(auto cursor,
               database_->query("SELECT id FROM tasks WHERE node_id = ? AND ended = 0 AND state <> ?",
                                {node.value, task_state_name(wire::TASK_UNREACHABLE)}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return own;
        own.insert(std::string(cursor.row().text(0)));
    }
}

core::Result<Rows<wire::NodeCapacity>> View::capacities() {
    if (point_.feature_level < kLevelOfApps) return Rows<wire::NodeCapacity>();
    return collect<wire::NodeCapacity>(
        database_->query("SELECT capacity, version FROM capacities ORDER BY node_id"));
}

core::Result<std::map<uint64_t, uint64_t>> View::task_counts() {
    std::map<uint64_t, uint64_t> counts;
    if (point_.feature_level < kLevelOfApps) return counts;
    TRY_ASSIGN(auto rows,
               database_->query("SELECT node_id, count(*) FROM tasks WHERE ended = 0 GROUP BY node_id"));
    while (true) {
        TRY_ASSIGN(const bool found, rows.next());
        if (!found) return counts;
        counts[rows.row().number(0)] = rows.row().number(1);
    }
}

core::Result<Rows<wire::DrainNode>> View::drains() {
    if (point_.feature_level < kLevelOfDrains) return Rows<wire::DrainNode>();
    return collect<wire::DrainNode>(database_->query("SELECT drain, version FROM drains ORDER BY node_id"));
}

core::Result<Rows<wire::Blob>> View::blobs() {
    if (point_.feature_level < kLevelOfBlobs) return Rows<wire::Blob>();
    return collect<wire::Blob>(database_->query("SELECT blob, version FROM blobs ORDER BY name"));
}

core::Result<MaybeRow<wire::Blob>> View::blob(std::string_view name) {
    if (point_.feature_level < kLevelOfBlobs) return MaybeRow<wire::Blob>();
    return first<wire::Blob>(database_->query("SELECT blob, version FROM blobs WHERE name = ?", {name}));
}

core::Result<MaybeRow<wire::Blob>> View::blob_of_image(std::string_view image) {
    if (point_.feature_level < kLevelOfBlobs || image.empty()) return MaybeRow<wire::Blob>();
    return first<wire::Blob>(database_->query(
        "SELECT blob, version FROM blobs WHERE image = ? ORDER BY version DESC LIMIT 1", {image}));
}

core::Result<std::optional<core::Error>> View::blob_limit_problem(const std::string& name, uint64_t size) {
    if (point_.feature_level < kLevelOfBlobs) {
        return core::fail(
            core::Errc::kUnsupported,
            "blobs need feature level {}, the cluster is at {}: upgrade all servers, then raise it",
            kLevelOfBlobs, point_.feature_level);
    }
    return state::blob_limit_problem(*database_, name, size);
}

core::Result<std::map<std::string, uint64_t>> View::wanted_blobs() {
    std::map<std::string, uint64_t> wanted;
    if (point_.feature_level < kLevelOfBlobs) return wanted;
    TRY_ASSIGN(auto cursor, database_->query("SELECT sha256, size FROM blobs UNION "
                                             "SELECT sha256, size FROM blob_uses"));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return wanted;
        wanted[std::string(cursor.row().text(0))] = cursor.row().number(1);
    }
}

core::Result<std::vector<std::string>> View::users_of_blob(std::string_view sha256) {
    std::vector<std::string> apps;
    if (point_.feature_level < kLevelOfBlobs) return apps;
    TRY_ASSIGN(
        auto cursor,
        database_->query("SELECT DISTINCT app FROM blob_uses WHERE sha256 = ? ORDER BY app", {sha256}));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return apps;
        apps.emplace_back(cursor.row().text(0));
    }
}

core::Result<bool> View::node_may_read_blob(core::NodeId node, std::string_view sha256) {
    if (point_.feature_level < kLevelOfBlobs) return false;
    TRY_ASSIGN(const int64_t images,
               database_->integer("SELECT count(*) FROM blobs WHERE sha256 = ? AND image <> ''", {sha256}));
    if (images > 0) return true;
    TRY_ASSIGN(const int64_t tasks,
               database_->integer("SELECT count(*) FROM tasks WHERE node_id = ? AND ended = 0 AND app IN "
                                  "(SELECT app FROM blob_uses WHERE sha256 = ?)",
                                  {node.value, sha256}));
    return tasks > 0;
}

}  // namespace smackd::storage::state
