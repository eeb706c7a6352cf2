// agent.db: what an agent has been told of the replicated state, and up to where.
//
// Rows and the place in the feed are written in one transaction, so that a crash at any moment leaves a copy
// that the next stream goes on from. A copy that is damaged, or of another cluster or node, is set aside and
// begun anew: the servers have it all. AgentCopy belongs to one thread at a time; other threads read by
// AgentReader.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/disk.h"
#include "core/ids.h"
#include "core/logger.h"
#include "core/wire/agent.pb.h"
#include "storage/sqlite/database.h"

namespace smackd::storage::agent {

inline constexpr size_t kAgentRowsMax = 1'000'000;         ///< in one copy
inline constexpr size_t kAgentRowBytesMax = 1024 * 1024;   ///< of one row, as wire.AgentRow
inline constexpr uint64_t kAgentCheckpointFrames = 1'000;  ///< 4 MiB of WAL, then it is copied back

/// Whose copy it is.
struct AgentCopyOwner {
    std::string cluster_id;
    core::NodeId node;
};

struct AgentRows {
    core::Revision position;
    std::vector<wire::AgentRow> rows;  ///< by key
};

class AgentCopy {
 public:
    /// `vfs` and `disk` outlive it and are of the same files. kIo, kDiskFull.
    static core::Result<std::unique_ptr<AgentCopy>> open(core::Disk& disk, sqlite::Vfs& vfs, std::string path,
                                                         AgentCopyOwner owner, core::Logger logger);
    ~AgentCopy();

    /// The place to go on from; 0.0 without any.
    core::Revision position() const { return position_; }
    /// Takes the next item of a stream. True when the copy moved, false within a snapshot. kDenied for an
    /// older epoch or an older place than the copy's; kInvalid for what is no item; then the copy is as
    /// before.
    core::Result<bool> apply(const wire::AgentFeedItem& item);
    /// The stream has ended: drops the part of a snapshot that came.
    void abandon();
    /// Not within a snapshot.
    core::Result<std::vector<wire::AgentRow>> rows(std::string_view kind);

 private:
    AgentCopy(sqlite::Database database, core::Revision position, core::Logger logger);
    core::Result<void> check(const wire::AgentFeedItem& item) const;
    core::Result<void> write(const wire::AgentFeedItem& item);
    core::Result<void> finish(const wire::AgentFeedItem& item);

    sqlite::Database database_;
    core::Revision position_;
    core::Logger logger_;
    bool in_snapshot_ = false;
    core::Revision snapshot_of_;  // where the copy will stand after it
    size_t snapshot_rows_ = 0;
};

/// Reads the copy beside the one that writes it.
class AgentReader {
 public:
    static core::Result<AgentReader> open(const sqlite::Vfs& vfs, const std::string& path);
    /// All rows of a kind, at one moment.
    core::Result<AgentRows> rows(std::string_view kind);
    core::Result<std::optional<wire::AgentRow>> row(std::string_view kind, std::string_view key);

 private:
    explicit AgentReader(sqlite::Database database) : database_(std::move(database)) {}
    sqlite::Database database_;
};

}  // namespace smackd::storage::agent
