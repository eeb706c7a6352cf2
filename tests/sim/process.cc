#include "tests/sim/process.h"

#include <cstdlib>
#include <format>

namespace smackd::sim {
namespace {

uint64_t counter(const std::string& text, std::string_view name) {
    const size_t at = text.find(std::format("\n{} ", name));
    return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size() + 2, nullptr, 10);
}

}  // namespace

Process::Process(World& world, Network& network, ProcessOptions options)
    : world_(world), network_(network), options_(options), disk_(world.random()), clock_(world) {}

Process::~Process() {
    if (life_) crash(false);
}

core::Result<void> Process::build() {
    ++lives_;
    life_ = std::make_shared<Life>(world_);
    life_->after_event = [this] {
        if (after_event) after_event(*this);
    };
    metrics_ = std::make_unique<core::MetricRegistry>();
    timers_ = std::make_unique<Timers>(life_);
    log_executor_ = std::make_unique<Executor>(life_, core::milliseconds{1}, slowness);
    snapshot_executor_ = std::make_unique<Executor>(life_, core::milliseconds{5}, slowness);
    transport_ = std::make_unique<Transport>(network_, options_.id, life_);
    random_ = std::make_unique<core::SeededRandom>(world_.random().next());
    vfs_ = storage::sqlite::Vfs::over_disk(disk_);
    hub_ = std::make_unique<storage::feed::Hub>(
        storage::feed::HubLimits{.ring_records = options_.feed_ring_records}, *metrics_);
    const core::Logger logger(options_.log, std::format("n{}", options_.id));
    TRY(disk_.make_directory("/data"));
    TRY(disk_.sync_directory("/"));
    TRY_ASSIGN(state_, storage::state::StateMachine::open(
                           storage::state::StateOptions{.directory = "/data/state",
                                                        .disk = disk_,
                                                        .vfs = *vfs_,
                                                        .hub = *hub_,
                                                        .metrics = *metrics_,
                                                        .logger = logger,
                                                        .checkpoint_bytes = 256 * 1024,
                                                        .checkpoint_bytes_max = 512 * 1024,
                                                        .feature_level_max = options_.feature_level_max}));
    hub_->set_history(storage::state::feed_history({"/data/state", *vfs_, state_->generation()}));
    const storage::ReplicaEnvironment environment{.disk = disk_,
                                                  .clock = clock_,
                                                  .timers = *timers_,
                                                  .log_executor = *log_executor_,
                                                  .snapshot_executor = *snapshot_executor_,
                                                  .random = *random_,
                                                  .transport = *transport_,
                                                  .metrics = *metrics_,
                                                  .logger = logger};
    TRY_ASSIGN(replica_, storage::Replica::make(replica_options(), environment, *state_));
    return {};
}

core::Result<void> Process::bootstrap(const std::vector<storage::Server>& servers) {
    auto built = build();
    if (built) built = replica_->bootstrap(servers);
    crash(false);
    return built;
}

storage::ReplicaOptions Process::replica_options() const {
    storage::ReplicaOptions options;
    options.self = core::NodeId{options_.id};
    options.directory = "/data/raft";
    options.segment_bytes = options_.segment_bytes;
    options.snapshot_log_bytes = options_.snapshot_log_bytes;
    options.silent_after = core::milliseconds{1500};
    return options;
}

core::Result<storage::RecoveryReport> Process::survey() {
    return storage::Replica::survey(replica_options(), disk_);
}

core::Result<storage::RecoveryReport> Process::recover(const storage::Server& self) {
    TRY(build());
    auto report = storage::Replica::recover(replica_options(), disk_, *state_, self, world_.random());
    crash(false);
    return report;
}

core::Result<void> Process::boot() {
    auto booted = build();
    if (booted) booted = replica_->start();
    if (!booted) crash(false);
    return booted;
}

storage::state::StateReader& Process::reader() {
    if (!reader_) {
        reader_ = std::make_unique<storage::state::StateReader>(
            storage::state::ReaderOptions{"/data/state", *vfs_, state_->generation()});
    }
    return *reader_;
}

void Process::add_counts() {
    if (!metrics_) return;
    const std::string text = metrics_->render();
    counts_.elections += counter(text, "smackd_raft_leaderships_total");
    counts_.installs += counter(text, "smackd_raft_snapshot_installs_total");
    counts_.snapshots += counter(text, "smackd_raft_snapshots_total");
}

const LifeCounts& Process::counts() {
    crash(false);
    return counts_;
}

void Process::crash(bool power) {
    add_counts();
    if (life_) life_->alive = false;
    if (power) {
        disk_.power_failure();
    } else {
        disk_.kill();
    }
    replica_.reset();
    reader_.reset();
    state_.reset();
    hub_.reset();
    vfs_.reset();
    random_.reset();
    transport_.reset();
    snapshot_executor_.reset();
    log_executor_.reset();
    timers_.reset();
    metrics_.reset();
}

void Process::pause(core::Duration duration) {
    life_->pause_until(world_.now() + duration, life_);
}

}  // namespace smackd::sim
