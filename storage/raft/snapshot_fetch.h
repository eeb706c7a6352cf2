// Pulls a snapshot from the leader chunk by chunk while the replica goes on as a follower.
//
// The replica votes and answers heartbeats meanwhile; only when the whole snapshot is here, verified and
// durable, and a checked copy of its files is ready for the state machine, is it handed to Raft: from there
// is no way back. A transfer that was interrupted resumes behind the last chunk that checks; a snapshot that
// was damaged on this disk is removed and fetched anew.
#pragma once

#include <memory>

#include "core/clock.h"
#include "core/executor.h"
#include "core/logger.h"
#include "core/wire/raft.pb.h"
#include "storage/log/snapshot_store.h"

namespace smackd::storage {

inline constexpr core::milliseconds kChunkRetry{1000};
inline constexpr int kChunkTriesMax = 10;  ///< then the fetch is dropped until the leader offers it again

class SnapshotFetch {
 public:
    struct Events {
        core::Callback<void(core::NodeId, const wire::RaftMessage&)> send;
        /// The folder holds a copy of the files that is the receiver's to take.
        core::Callback<void(core::NodeId, core::Term, const wire::SnapshotManifest&, const std::string&)>
            ready;
        core::Callback<void(const core::Error*)> condition;  ///< the disk refuses; null once it works again
    };

    SnapshotFetch(SnapshotStore& store, core::Executor& executor, core::Timers& timers, core::Logger logger,
                  Events events);
    ~SnapshotFetch();
    SnapshotFetch(const SnapshotFetch&) = delete;
    SnapshotFetch& operator=(const SnapshotFetch&) = delete;

    /// The leader offers `manifest`; offering what is being fetched only renews who and when. What the store
    /// has already is not fetched, only copied.
    void offer(core::NodeId from, core::Term term, const wire::SnapshotManifest& manifest);
    void receive(core::NodeId from, wire::ChunkReply& reply);
    /// The log follows the leader without a snapshot: an earlier refusal of the disk is of no more interest.
    void not_needed();
    bool active() const { return manifest_ != nullptr; }
    uint64_t chunks_received() const { return chunks_received_; }

 private:
    void begin();
    void request_next();
    void ask();
    void store_chunk(core::Bytes data);
    void finish();
    void copy();
    bool in_store() const;
    void drop(const core::Error& error);
    /// Runs `work` on the executor, then `done` unless the fetch was dropped or replaced meanwhile.
    void run(core::Callback<core::Result<void>()> work, core::Callback<void()> done);

    SnapshotStore& store_;
    core::Executor& executor_;
    core::Timers& timers_;
    core::Logger logger_;
    Events events_;
    std::shared_ptr<const wire::SnapshotManifest> manifest_;  ///< null when idle; jobs hold a copy
    core::NodeId from_;
    core::Term term_;
    std::shared_ptr<std::vector<uint32_t>> have_;  ///< leading chunks that are here, by file
    uint32_t file_ = 0;
    uint32_t chunk_ = 0;
    bool waiting_ = false;  ///< for a reply
    int tries_ = 0;
    core::TimerId timer_ = 0;
    bool refused_ = false;
    uint64_t chunks_received_ = 0;
    uint64_t generation_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace smackd::storage
