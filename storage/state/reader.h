// Reading the state beside apply: typed rows at one revision, and SQL for people.
//
// A StateReader has connections of its own and belongs to one thread at a time; make one per worker. It
// follows the files when a snapshot replaces them. What it reads is committed on this server and may be
// stale: ask the feed hub (min_revision) or a barrier first where that matters.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/policy.h"
#include "core/wire/command.pb.h"
#include "storage/feed/hub.h"
#include "storage/sqlite/database.h"
#include "storage/state/state_machine.h"

namespace smackd::storage::state {

/// A row as it was last put, with the number of the revision that did it (what wire::Expect compares).
template <class Put>
struct Row {
    Put put;
    uint64_t version = 0;
};
template <class Put>
using Rows = std::vector<Row<Put>>;
template <class Put>
using MaybeRow = std::optional<Row<Put>>;

/// Where a view stands. (revision) is the token to watch from after a list.
struct ReadPoint {
    core::Revision revision;
    core::Index applied;
    uint32_t feature_level = 0;
    int64_t time_ms = 0;  ///< the leader's stamp of the last command
};

struct AuditRow {
    core::Revision revision;  ///< after the command
    int64_t time_ms = 0;
    std::string actor_kind;  ///< "user", "machine", "system"
    std::string principal;
    std::string door;
    std::string summary;  ///< "put_user alice, put_group ops"
};

/// The state at one moment: every query of a view sees the same revision. Short-lived: it holds the WAL. Do
/// not use two views of one reader at a time. All lists are in key order.
class View {
 public:
    View(View&& other) noexcept : database_(std::exchange(other.database_, nullptr)), point_(other.point_) {}
    View& operator=(View&&) = delete;
    ~View();

    const ReadPoint& point() const { return point_; }

    /// Nothing before InitCluster.
    core::Result<MaybeRow<wire::InitCluster>> cluster();
    core::Result<Rows<wire::PutUser>> users();
    core::Result<MaybeRow<wire::PutUser>> user(std::string_view name);
    core::Result<Rows<wire::PutGroup>> groups();
    core::Result<MaybeRow<wire::PutGroup>> group(std::string_view name);
    core::Result<std::vector<std::string>> groups_of(std::string_view user);
    /// Nothing below feature level 5. The users' rows without full_name.
    core::Result<Rows<wire::PutDirectoryGroup>> directory_groups();
    core::Result<MaybeRow<wire::PutDirectoryGroup>> directory_group(std::string_view sid);
    core::Result<Rows<wire::PutDirectoryUser>> directory_users();
    core::Result<Rows<wire::PutRule>> rules();
    core::Result<MaybeRow<wire::PutRule>> rule(std::string_view id);
    /// For core::authorize: all rules, and those that can grant `user` something.
    core::Result<std::vector<core::Rule>> policy();
    core::Result<std::vector<core::Rule>> policy_for(std::string_view user);
    core::Result<Rows<wire::PutMachine>> machines();
    core::Result<MaybeRow<wire::PutMachine>> machine(std::string_view name);
    core::Result<Rows<wire::PutNode>> nodes();
    core::Result<MaybeRow<wire::PutNode>> node(core::NodeId id);
    /// The highest node id ever given.
    core::Result<uint64_t> last_node_id();
    core::Result<Rows<wire::PutSetting>> settings();
    core::Result<MaybeRow<wire::PutSetting>> setting(std::string_view name);
    core::Result<Rows<wire::RevokeTokens>> revoked_tokens();

    // Applications; nothing below feature level 4.
    core::Result<Rows<wire::AppDefinition>> apps();
    core::Result<MaybeRow<wire::AppDefinition>> app(std::string_view id);
    /// Versions kept of an app, newest first; empty for an app that is not there.
    core::Result<std::vector<int64_t>> app_versions(std::string_view id);
    core::Result<std::optional<wire::AppDefinition>> app_version(std::string_view id, int64_t version_ms);
    core::Result<Rows<wire::GroupDefinition>> app_groups();
    core::Result<Rows<wire::AppBackoff>> app_backoffs();
    core::Result<Rows<wire::Deployment>> deployments();
    core::Result<Rows<wire::Task>> tasks();
    core::Result<Rows<wire::Task>> tasks_of(std::string_view app);
    core::Result<MaybeRow<wire::Task>> task(std::string_view id);
    /// Ids of the tasks of a node that have not ended and are not TASK_UNREACHABLE.
    core::Result<std::set<std::string>> own_tasks(core::NodeId node);
    core::Result<Rows<wire::NodeCapacity>> capacities();
    /// How many tasks that have not ended each node has; nodes without any are not in it.
    core::Result<std::map<uint64_t, uint64_t>> task_counts();
    /// Nothing below feature level 7.
    core::Result<Rows<wire::DrainNode>> drains();
    // Blobs; nothing below feature level 8.
    core::Result<Rows<wire::Blob>> blobs();
    core::Result<MaybeRow<wire::Blob>> blob(std::string_view name);
    /// The newest archive of an image; `image` is its full name.
    core::Result<MaybeRow<wire::Blob>> blob_of_image(std::string_view image);
    /// Why a blob may not come in, or nothing (blob_rows.h); kUnsupported below feature level 8.
    core::Result<std::optional<core::Error>> blob_limit_problem(const std::string& name, uint64_t size);
    /// Sizes by SHA-256 (hex) of all that a name, or a version of an app, refers to.
    core::Result<std::map<std::string, uint64_t>> wanted_blobs();
    /// Apps with a version that fetches it.
    core::Result<std::vector<std::string>> users_of_blob(std::string_view sha256);
    /// Whether a task of the node that has not ended is of such an app, or it is the archive of an image.
    core::Result<bool> node_may_read_blob(core::NodeId node, std::string_view sha256);
    /// Names with their versions; what they hold is in StateReader::principal and ::secret.
    core::Result<std::vector<std::pair<std::string, uint64_t>>> principals();
    core::Result<std::vector<std::pair<std::string, uint64_t>>> secrets();
    /// The newest `limit` rows below revision number `before` (0: from the newest), newest first.
    core::Result<std::vector<AuditRow>> audit(uint64_t before, uint32_t limit);
    /// Up to `count` changes above `after`, in order.
    core::Result<std::vector<feed::RecordPtr>> feed_after(uint64_t after, size_t count);

 private:
    friend class StateReader;
    View(sqlite::Database& database, ReadPoint point) : database_(&database), point_(point) {}
    sqlite::Database* database_;
    ReadPoint point_;
};

struct ReaderOptions {
    std::string directory;  ///< the state machine's
    const sqlite::Vfs& vfs;
    std::shared_ptr<const Generation> generation;  ///< StateMachine::generation()
};

class StateReader {
 public:
    explicit StateReader(ReaderOptions options) : options_(std::move(options)) {}

    core::Result<View> view();

    /// The serialized wire::PrincipalRecord from realm.db.
    core::Result<std::optional<core::Bytes>> principal(std::string_view name);
    /// The sealed value from secrets.db.
    core::Result<std::optional<core::Bytes>> secret(std::string_view name);

 private:
    core::Result<sqlite::Database*> open(std::optional<sqlite::Database>& slot, const std::string& path);
    core::Result<std::optional<core::Bytes>> blob(std::optional<sqlite::Database>& slot,
                                                  const std::string& path, const char* sql,
                                                  std::string_view name);
    void follow_generation();

    ReaderOptions options_;
    uint64_t generation_ = 0;
    std::optional<sqlite::Database> state_;
    std::optional<sqlite::Database> realm_;
    std::optional<sqlite::Database> secrets_;
};

/// What Hub::set_history wants: reads the feed table through a reader of its own.
feed::History feed_history(ReaderOptions options);

}  // namespace smackd::storage::state
