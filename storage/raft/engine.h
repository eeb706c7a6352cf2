// Raft on our log: drives libraft's step function and carries out what it asks for.
//
// Owns the log, term and vote, the snapshots and the entries in memory. Knows nothing of commands or the
// state machine: committed entries come out of Events::committed once and in order. Single-threaded.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/log/metadata.h"
#include "storage/log/snapshot_store.h"
#include "storage/raft/library.h"
#include "storage/raft/log_writer.h"
#include "storage/raft/memory_log.h"
#include "storage/raft/message.h"
#include "storage/replica.h"

namespace smackd::storage {

class SnapshotFetch;

/// What the engine tells its owner, always from the loop.
class EngineEvents {
 public:
    virtual ~EngineEvents() = default;
    /// The next committed entry.
    virtual void committed(const LogEntry& entry) = 0;
    /// A snapshot from the leader is in the store and the log begins behind it; entries up to its index will
    /// not come. `folder` holds a copy of its files that is the receiver's to take.
    virtual void snapshot_installed(const wire::SnapshotManifest& manifest, const std::string& folder) = 0;
    /// A snapshot was found damaged; a newer one is needed.
    virtual void snapshot_lost(const std::string& what) = 0;
    /// Role, term, leader or membership changed.
    virtual void changed() = 0;
    /// Raises an alarm; an empty message clears it.
    virtual void alarm(std::string_view name, std::string message) = 0;
};

/// What open() found, for the owner to bring its state machine in line before start().
struct EngineReport {
    core::Index log_first;  ///< first entry that committed() can deliver
    core::Index log_last;
    std::vector<std::string> damaged_snapshots;
    bool torn = false;
};

class Engine {
 public:
    Engine(const ReplicaOptions& options, const ReplicaEnvironment& environment, EngineEvents& events);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Reads and verifies everything; acts on damage (see storage/README.md). kCorrupt: a sole voter lost
    /// what it had acknowledged, or term and vote are unreadable; the message says what is lost and what to
    /// do. Blocks.
    core::Result<EngineReport> open();
    /// kConflict unless the directory is empty.
    core::Result<void> bootstrap(const std::vector<Server>& servers);
    /// Gives up everything on this disk but term and vote: the state machine is damaged beyond what is here.
    /// As a voter of several it comes back without voting until the others have refilled it; alone it is
    /// kCorrupt.
    core::Result<void> discard_everything(const std::string& why);
    /// Takes part from here on. open() came before.
    core::Result<void> start();
    /// Nothing of the engine is called after this but `done`, once no job is left on the executors.
    void close(core::Callback<void()> done);

    /// Appends an entry as leader. Its index; kUnavailable when not leader (or handing over), kBusy for a
    /// second configuration change.
    core::Result<core::Index> submit(EntryType type, std::shared_ptr<const core::Bytes> payload);
    core::Result<core::Index> submit_configuration(const std::vector<Server>& servers);
    /// Has the server stored everything there is?
    bool up_to_date(core::NodeId id) const;
    /// Starts replicating to a server that is to become a voter.
    core::Result<void> begin_catch_up(core::NodeId id);
    enum class CatchUp : uint8_t { kNone, kRunning, kAborted, kFinished };
    CatchUp catch_up(core::NodeId id) const;
    core::Result<void> transfer(core::NodeId to);
    bool transferring() const { return raft_transferee(&raft_) != 0; }

    /// Hands out the entries behind `index` again, as far as they were delivered; false when they are not in
    /// memory.
    bool deliver_again(core::Index index);
    /// Records a snapshot made by the owner: durable, verified, in the store's list. Cuts log and memory
    /// behind it.
    void snapshot_taken(const wire::SnapshotManifest& manifest);
    /// The owner may take one now (none is being installed or received).
    bool may_snapshot(core::Index index) const;
    /// The owner may replace the newest one, which is damaged, by another at the same index.
    bool may_replace_snapshot(core::Index index) const;

    ReplicaRole role() const;
    core::Term term() const { return {raft_current_term(&raft_)}; }
    core::NodeId leader() const;
    core::Index last_index() const { return memory_.last(); }
    core::Index commit_index() const { return {raft_commit_index(&raft_)}; }
    core::Term term_of(core::Index index) const { return memory_.term_of(index); }
    std::vector<Server> servers() const { return from_configuration(); }
    /// On the leader: servers that were not heard for ReplicaOptions::silent_after.
    const std::vector<core::NodeId>& silent() const { return silent_; }
    /// The no-op of this leadership; 0 when not leader.
    core::Index term_start() const { return term_start_; }
    core::Duration since_leader_contact() const;
    /// Non-zero: entries acknowledged here in terms up to this may be missing; no vote is given.
    core::Term damage_term() const { return metadata_->value().damage_term; }
    /// Metadata::epoch.
    uint64_t epoch() const { return metadata_->value().epoch; }
    const std::optional<core::Error>& disk_trouble() const { return writer_->trouble(); }
    uint64_t log_bytes() const { return memory_.bytes(); }
    SnapshotStore& snapshots() { return snapshots_; }

    /// The connection to a peer broke. If that is the leader, an election begins soon rather than at the
    /// timeout.
    void lost(core::NodeId peer);
    /// A message from `from`, as Transport delivered it.
    void receive(core::NodeId from, core::BytesView bytes);

 private:
    struct Step {  // one event on its way through libraft, with the payloads of its entries
        raft_event event{};
        std::span<const LogEntry> entries;
        const raft_entry* array = nullptr;
        void* batch = nullptr;  ///< to free when the entries are taken
    };

    std::string path(std::string_view name) const;
    core::Result<void> reconcile(LogContents& contents);
    core::Result<void> admit_damage(const LogDamage& damage);
    core::Result<void> write_metadata(Metadata next);
    void load_raft(LogContents& contents);

    int step(Step& step);
    void carry_out(const raft_update& update, const Step& step);
    void persist_term_and_vote();
    void accept_entries(const raft_update& update, const Step& step);
    void accept_snapshot(const raft_update& update);
    void send_messages(const raft_update& update);
    void send_vote_result(const raft_message& message);
    void send_entries(const raft_message& message);
    void send_snapshot(const raft_message& message);
    void deliver_committed();
    void confirm_configuration(core::Index index, const core::Bytes& payload);
    void follow_role();
    void heal();
    void schedule_timer();
    void on_timer();
    void forget_leader();
    void tell_step_down();
    void look_for_quorum_now();
    void watch_silence();
    bool may_elect_another() const;
    void fail(const std::string& why);

    core::Result<void> note_voters(const LogEntry& entry);
    void written(const LogWrite& write);
    void receive_vote_request(core::NodeId from, const wire::RaftMessage& message);
    bool is_stale(core::NodeId from, const wire::AppendEntriesResult& result) const;
    void receive_append(core::NodeId from, AppendRequest request);
    bool skip_known(AppendRequest& request);
    void step_append(core::NodeId from, const AppendRequest& request, std::span<const LogEntry> entries,
                     core::Index prev_index, core::Term prev_term);
    void receive_install(core::NodeId from, const wire::InstallSnapshot& install);
    void install_fetched(core::NodeId from, core::Term term, const wire::SnapshotManifest& manifest,
                         const std::string& folder);
    void discard_copy(const std::string& folder);
    void receive_chunk_request(core::NodeId from, const wire::ChunkRequest& request);
    void send(core::NodeId to, const wire::RaftMessage& message);
    bool accept_epoch(core::NodeId from, uint64_t epoch);
    void refuse_epoch(core::NodeId from, uint64_t epoch);
    void note_leader_contact(core::NodeId from, core::Term message_term);
    const char* address_of(core::NodeId id);
    std::vector<Server> from_configuration() const;
    raft_time now_ms() const;

    const ReplicaOptions options_;
    ReplicaEnvironment environment_;
    EngineEvents& events_;
    core::Logger logger_;
    raft raft_{};
    bool raft_made_ = false;
    bool running_ = false;
    bool stepping_ = false;
    bool failed_ = false;
    std::optional<MetadataStore> metadata_;
    SnapshotStore snapshots_;
    std::shared_ptr<Log> log_;
    std::unique_ptr<LogWriter> writer_;
    MemoryLog memory_;
    std::unique_ptr<SnapshotFetch> fetch_;
    LogContents opened_;

    core::Index delivered_;  ///< last index handed to committed()
    core::Index term_start_;
    unsigned short last_role_ = RAFT_FOLLOWER;
    core::Term last_term_;
    core::NodeId last_leader_;
    core::Instant leader_contact_;
    core::Instant leads_since_;
    std::map<uint64_t, core::Instant> heard_;  ///< by server
    std::vector<core::NodeId> silent_;
    std::map<uint64_t, std::string> addresses_;    ///< as libraft wants them: stable C strings
    std::map<uint64_t, uint64_t> refused_epochs_;  ///< by server: the epoch it was refused for, logged once
    std::optional<wire::SnapshotManifest> installing_;
    raft_configuration installing_configuration_{};
    std::string install_folder_;
    core::TimerId timer_ = 0;
    raft_time timer_at_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace smackd::storage
