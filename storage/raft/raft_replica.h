// The Replica: engine, group commit, state machine, snapshots and membership put together.
#pragma once

#include <map>

#include "storage/raft/applier.h"
#include "storage/raft/barriers.h"
#include "storage/raft/engine.h"
#include "storage/raft/membership.h"
#include "storage/raft/proposals.h"
#include "storage/raft/repeated_line.h"

namespace smackd::storage {

class RaftReplica final : public Replica, private EngineEvents, private ApplierEvents {
 public:
    RaftReplica(ReplicaOptions options, ReplicaEnvironment environment, Fsm& fsm);
    ~RaftReplica() override;

    core::Result<void> bootstrap(const std::vector<Server>& servers) override;
    core::Result<void> start() override;
    void close(core::Callback<void()> done) override;
    void propose(core::Bytes command, core::Callback<void(core::Result<core::Bytes>)> done) override;
    void barrier(core::Callback<void(core::Result<core::Index>)> done) override;
    void add_server(Server server, core::Callback<void(core::Result<void>)> done) override;
    void assign_role(core::NodeId id, ServerRole role,
                     core::Callback<void(core::Result<void>)> done) override;
    void remove_server(core::NodeId id, core::Callback<void(core::Result<void>)> done) override;
    void transfer_leadership(core::NodeId to, core::Callback<void(core::Result<void>)> done) override;
    ReplicaStatus status() const override;
    void set_observer(core::Callback<void(const ReplicaStatus&)> observer) override {
        observer_ = std::move(observer);
    }

 private:
    struct SnapshotJob;

    void committed(const LogEntry& entry) override;
    void snapshot_installed(const wire::SnapshotManifest& manifest, const std::string& folder) override;
    void snapshot_lost(const std::string& what) override;
    void changed() override;
    void alarm(std::string_view name, std::string message) override;
    void applied(const LogEntry& entry, std::vector<core::Bytes> results) override;
    void turn_over() override;
    void apply_refused(core::Index index, const core::Error* error) override;

    core::Result<void> prepare_state(const EngineReport& report);
    core::Result<void> install_own(const wire::SnapshotManifest& manifest);
    bool may_plan() const;
    core::Result<void> may_propose(size_t bytes) const;
    std::optional<core::Error> trouble() const;
    core::Error not_leader() const;
    void post(core::Callback<void()> work);
    void schedule_flush();
    void flush();
    void send_barrier();
    void await_install(const wire::SnapshotManifest& manifest, const core::Error& error);
    void leave_transport();
    void check_snapshots();
    void take_snapshot();
    void snapshot_done(SnapshotJob& job);
    void snapshot_failed(const core::Error& error);
    void observe();
    void step_aside();
    void restore_later();
    void restore_state();
    bool rebuild_state();
    void restore_failed(std::string_view what, core::Index from, const core::Error& error);

    const ReplicaOptions options_;
    ReplicaEnvironment environment_;
    Fsm& fsm_;
    core::Logger logger_;
    Engine engine_;
    Applier applier_;
    Proposals proposals_;
    Membership membership_;
    bool started_ = false;
    bool closed_ = false;
    EngineReport report_;

    int64_t stamped_ms_ = 0;  ///< highest time this leader has put into an entry
    bool flush_due_ = false;
    Barriers barriers_;
    bool led_ = false;
    core::Term led_term_;

    std::map<uint64_t, core::Bytes>
        configurations_;                             ///< applied ones by index, from the newest snapshot's on
    std::optional<wire::SnapshotManifest> awaited_;  ///< came from a leader and is not in place yet
    uint64_t bytes_since_snapshot_ = 0;
    bool snapshotting_ = false;
    bool snapshot_wanted_ = false;
    core::TimerId snapshot_retry_ = 0;
    core::TimerId aside_retry_ = 0;
    core::TimerId restore_timer_ = 0;
    RepeatedLine stopped_line_;
    RepeatedLine restore_line_;

    std::map<std::string, std::string, std::less<>> alarms_;
    core::Callback<void(const ReplicaStatus&)> observer_;
    bool observe_due_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

    core::Counter& commands_total_;
    core::Counter& entries_total_;
    core::Counter& snapshots_total_;
    core::Counter& installs_total_;
    core::Counter& elections_total_;
    core::Gauge& applied_gauge_;
};

}  // namespace smackd::storage
