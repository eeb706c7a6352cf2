// One server: a machine (disk, clock) and, while it runs, the production replica and state machine on it.
#pragma once

#include <memory>
#include <string>

#include "storage/replica.h"
#include "storage/state/reader.h"
#include "storage/state/state_machine.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace smackd::sim {

struct ProcessOptions {
    uint64_t id = 0;
    uint64_t segment_bytes = 32 * 1024;
    uint64_t snapshot_log_bytes = 32 * 1024;
    size_t feed_ring_records = 64;  ///< few, so that watches read from state.db as well
    uint32_t feature_level_max = storage::state::kFeatureLevelMax;
    core::LogSink* log = nullptr;
};

/// Over all lives.
struct LifeCounts {
    uint64_t elections = 0, installs = 0, snapshots = 0;
};

class Process {
 public:
    Process(World& world, Network& network, ProcessOptions options);
    ~Process();

    core::Result<void> bootstrap(const std::vector<storage::Server>& servers);
    /// Offline: what recover() would go on from.
    core::Result<storage::RecoveryReport> survey();
    /// Offline, as `smackd recover` does.
    core::Result<storage::RecoveryReport> recover(const storage::Server& self);
    /// Starts it; an error leaves it down.
    core::Result<void> boot();
    /// Down at once; with `power` what was not synced is kept, lost or torn.
    void crash(bool power);
    void pause(core::Duration duration);

    bool up() const { return replica_ != nullptr; }
    uint64_t id() const { return options_.id; }
    uint64_t lives() const { return lives_; }
    storage::Replica& replica() { return *replica_; }
    storage::state::StateMachine& state() { return *state_; }
    storage::feed::Hub& hub() { return *hub_; }
    /// Reads its tables as the doors do.
    storage::state::StateReader& reader();
    Disk& disk() { return disk_; }
    Clock& clock() { return clock_; }
    /// Ends the running life and sums all of them up.
    const LifeCounts& counts();
    ProcessOptions& options() { return options_; }
    double slowness = 1;   ///< of its executors: 1 is a good disk
    bool flipped = false;  ///< a bit was flipped, and the server has not been whole since
    core::Callback<void(Process&)> after_event;
    /// Callbacks of clients that asked this life: they end with it.
    std::shared_ptr<Life> life() const { return life_; }

 private:
    core::Result<void> build();
    void add_counts();
    storage::ReplicaOptions replica_options() const;
    World& world_;
    Network& network_;
    ProcessOptions options_;
    Disk disk_;
    Clock clock_;
    uint64_t lives_ = 0;
    LifeCounts counts_;
    std::shared_ptr<Life> life_;
    // In the order they are made; taken down in reverse.
    std::unique_ptr<core::MetricRegistry> metrics_;
    std::unique_ptr<Timers> timers_;
    std::unique_ptr<Executor> log_executor_;
    std::unique_ptr<Executor> snapshot_executor_;
    std::unique_ptr<Transport> transport_;
    std::unique_ptr<core::SeededRandom> random_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_;
    std::unique_ptr<storage::feed::Hub> hub_;
    std::unique_ptr<storage::state::StateMachine> state_;
    std::unique_ptr<storage::state::StateReader> reader_;
    std::unique_ptr<storage::Replica> replica_;
};

}  // namespace smackd::sim
