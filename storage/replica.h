// One server's replica of the state: our log under libraft, group commit, and the state machine on top.
//
// Single-threaded: everything runs on the consensus loop whose Timers and Executor it is given. The same
// class runs in the simulator. Acknowledged (a propose callback with a result) means: synced on a majority
// and applied here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/disk.h"
#include "core/executor.h"
#include "core/logger.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/transport.h"
#include "storage/fsm.h"

namespace smackd::storage {

inline constexpr size_t kCommandBytesMax = 256 * 1024;
inline constexpr size_t kEntryBytesMax = 1024 * 1024;
inline constexpr size_t kPendingCommandsMax = 4096;
inline constexpr size_t kPendingBytesMax = 16 * 1024 * 1024;

enum class ServerRole : uint8_t { kVoter, kStandby, kSpare };

struct Server {
    core::NodeId id;
    std::string address;  ///< HOST:PORT, handed to Transport::set_address
    ServerRole role = ServerRole::kVoter;
};

struct ReplicaOptions {
    core::NodeId self;
    std::string directory;                     ///< log, metadata and snapshots live below it
    core::milliseconds election_timeout{450};  ///< pre-vote is always on
    core::milliseconds heartbeat{75};
    core::Duration silent_after = core::seconds(30);  ///< see ReplicaStatus::silent
    uint64_t snapshot_log_bytes = 32 * 1024 * 1024;   ///< a snapshot is taken when the log has grown by this
    uint64_t segment_bytes = 8 * 1024 * 1024;
};

/// What a replica is given; all outlive it.
struct ReplicaEnvironment {
    core::Disk& disk;
    core::Clock& clock;
    core::Timers& timers;
    core::Executor& log_executor;       ///< appends and syncs of the log
    core::Executor& snapshot_executor;  ///< copies and checks of snapshots
    core::Random& random;
    core::Transport& transport;
    core::MetricRegistry& metrics;
    core::Logger logger;
};

enum class ReplicaRole : uint8_t { kUnavailable, kFollower, kCandidate, kLeader };

/// A condition an operator must know of; raised and cleared by name.
struct Alarm {
    std::string name;     ///< "disk_full", "log_damaged", "apply_stopped", ...
    std::string message;  ///< what happened and what to do; empty when cleared
};

struct ReplicaStatus {
    ReplicaRole role = ReplicaRole::kUnavailable;
    core::Term term;
    uint64_t epoch = 0;       ///< 0, or which new beginning by recover() this disk is of
    uint64_t recoveries = 0;  ///< how many there were
    core::NodeId leader;      ///< 0 when unknown
    core::Index last_index;   ///< last entry in the log
    core::Index commit_index;
    core::Index applied_index;
    core::Duration since_leader_contact{0};  ///< 0 on the leader
    bool may_plan = false;                   ///< leader whose own no-op is applied
    std::vector<Server> servers;
    std::vector<core::NodeId> silent;  ///< on the leader: servers not heard for ReplicaOptions::silent_after
    std::vector<Alarm> alarms;
};

/// What recovery finds on this disk, to be told to the operator.
struct RecoveryReport {
    std::vector<std::string> lost;  ///< ranges of entries and files that were damaged; empty: nothing known
    std::vector<Server> servers;    ///< of the newest configuration here; empty when none can be read
    core::Index snapshot;           ///< of the newest snapshot; 0: there is none
    core::Index last;               ///< the last entry that is kept
    core::Index applied;            ///< what the state held
    core::Term term;                ///< of the last entry (survey), or the new one (recover)
    core::Revision revision;        ///< after recover(): the first of the new epoch
};

class Replica {
 public:
    static core::Result<std::unique_ptr<Replica>> make(ReplicaOptions options, ReplicaEnvironment environment,
                                                       Fsm& fsm);
    virtual ~Replica() = default;

    /// Offline: what recover() would go on from. Changes no more than a start would. Blocks. kNotFound when
    /// nothing is here, kCorrupt when term and vote are unreadable.
    static core::Result<RecoveryReport> survey(const ReplicaOptions& options, core::Disk& disk);
    /// Offline: makes `self` the only voter on what is on this disk, and accepts what is lost of it. Entries
    /// the log holds count as committed and are applied; the last of them raises the epoch. Messages of
    /// servers that know nothing of it, or of another one, are refused from then on. May be repeated when it
    /// was interrupted. `random` marks this recovery.
    /// Blocks. kNotFound when nothing is here, kCorrupt when neither log nor state is usable.
    static core::Result<RecoveryReport> recover(const ReplicaOptions& options, core::Disk& disk, Fsm& fsm,
                                                const Server& self, core::Random& random);

    /// Writes the first configuration into an empty directory; kConflict when it holds a log already.
    virtual core::Result<void> bootstrap(const std::vector<Server>& servers) = 0;
    /// Loads and verifies the log (blocking), replays what is committed, begins to take part.
    virtual core::Result<void> start() = 0;
    /// Stops; `done` runs when no callback of the replica can follow. Pending proposals end with kCancelled.
    virtual void close(core::Callback<void()> done) = 0;

    /// Proposes one serialized wire::Command of at most kCommandBytesMax bytes on the leader. The replica
    /// stamps time_ms and (when the caller set it to non-zero) leaves proposer_term for apply to check.
    /// `done` gets a serialized wire::CommandResult, or kUnavailable (not leader; names who is), kBusy
    /// (pending limit), kDiskFull, or kUnknownOutcome (leadership lost in flight).
    virtual void propose(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) = 0;
    /// Linearization point for reads: `done` runs once everything committed before the call is applied here.
    /// Barriers that wait together share one. Leader only (kUnavailable elsewhere).
    virtual void barrier(core::Callback<void(core::Result<core::Index>)> done) = 0;

    virtual void add_server(Server server, core::Callback<void(core::Result<void>)> done) = 0;
    virtual void assign_role(core::NodeId id, ServerRole role,
                             core::Callback<void(core::Result<void>)> done) = 0;
    virtual void remove_server(core::NodeId id, core::Callback<void(core::Result<void>)> done) = 0;
    /// Hands leadership over (0: to the most up-to-date voter).
    virtual void transfer_leadership(core::NodeId to, core::Callback<void(core::Result<void>)> done) = 0;

    virtual ReplicaStatus status() const = 0;
    /// Runs after each change of role, term, leader or alarms.
    virtual void set_observer(core::Callback<void(const ReplicaStatus&)> observer) = 0;
};

}  // namespace smackd::storage
