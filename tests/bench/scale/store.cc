#include "tests/bench/scale/store.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <utility>

#include "core/wire/raft.pb.h"
#include "core/wire/serialize.h"
#include "storage/raft/applier.h"
#include "storage/raft/proposals.h"

namespace smackd::bench {

namespace {

constexpr uint64_t kSegmentBytes = 8 * 1024 * 1024;
constexpr core::Term kTerm{1};

}  // namespace

void stop(const std::string& what) {
    std::fprintf(stderr, "scale: %s\n", what.c_str());
    std::exit(1);
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds_now() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

PolledExecutor::~PolledExecutor() {
    for (std::thread& thread : threads_) thread.join();
}

void PolledExecutor::submit(core::Callback<void()> work, core::Callback<void()> done) {
    threads_.emplace_back([this, work = std::move(work), done = std::move(done)]() mutable {
        work();
        const std::scoped_lock lock(mutex_);
        ended_.push_back(std::move(done));
    });
}

void PolledExecutor::poll() {
    std::vector<core::Callback<void()>> ended;
    {
        const std::scoped_lock lock(mutex_);
        ended = std::exchange(ended_, {});
    }
    for (auto& done : ended) done();
}

Store::Store(const std::string& directory) : directory_(directory) {
    storage::state::StateOptions options{.directory = directory + "/state",
                                         .disk = disk_,
                                         .vfs = *vfs_,
                                         .hub = hub_,
                                         .metrics = metrics_,
                                         .logger = {}};
    options.checkpoint_executor = &executor_;
    machine_ = must(storage::state::StateMachine::open(std::move(options)), "state");
    index_ = machine_->applied().value;
    storage::LogContents contents;
    log_ = must(storage::Log::open(disk_, directory + "/log", kSegmentBytes, contents), "log");
    if (index_ == 0) {
        wire::Command first;
        first.set_feature_level(1);
        first.mutable_actor()->set_kind(wire::Actor::SYSTEM);
        first.mutable_actor()->set_door("bench");
        wire::Command raise = first;
        auto* cluster = first.add_changes()->mutable_init_cluster();
        cluster->set_cluster_id("bench");
        cluster->set_cluster_name("bench");
        cluster->set_realm("BENCH.EXAMPLE");
        raise.add_changes()->mutable_raise_feature_level()->set_level(storage::state::kFeatureLevelMax);
        if (propose({first, raise}, 1'000) != 0) stop("the state does not begin");
    }
    hub_.set_history(storage::state::feed_history({directory + "/state", *vfs_, machine_->generation()}));
}

Store::~Store() {
    watch_.reset();
    executor_.poll();
}

/// As storage/raft/proposals makes groups.
storage::LogEntry Store::next_entry(const std::vector<wire::Command>& commands, size_t& from,
                                    int64_t now_ms) {
    wire::CommandGroup group;
    group.set_time_ms(now_ms);
    for (size_t bytes = 0; from < commands.size(); ++from) {
        core::Bytes one = wire::serialize(commands[from]);
        storage::stamp_time(one, now_ms);
        bytes += one.size();
        if (group.commands_size() > 0 && bytes > storage::kEntryBytesMax) break;
        *group.add_commands() = std::move(one);
    }
    return {.index = core::Index{++index_},
            .term = kTerm,
            .payload = std::make_shared<const core::Bytes>(group.SerializeAsString())};
}

uint64_t Store::propose(const std::vector<wire::Command>& commands, int64_t now_ms) {
    std::vector<storage::LogEntry> entries;
    for (size_t from = 0; from < commands.size();) entries.push_back(next_entry(commands, from, now_ms));
    double begun = seconds_now();
    must(log_->append(entries), "log");
    log_s_ += seconds_now() - begun;
    begun = seconds_now();
    uint64_t refused = 0;
    size_t staged = 0;
    for (const storage::LogEntry& entry : entries) {
        log_written_ += storage::record_bytes(entry);
        wire::CommandGroup group;
        group.ParseFromString(*entry.payload);
        const std::vector<core::BytesView> views(group.commands().begin(), group.commands().end());
        for (const core::Bytes& bytes : must(machine_->apply(entry.index, entry.term, views), "apply")) {
            wire::CommandResult result;
            result.ParseFromString(bytes);
            if (result.code() != 0 && refused++ == 0)
                std::fprintf(stderr, "refused: %s\n", result.message().c_str());
        }
        if (++staged % storage::kApplyEntriesPerTurn == 0) must(machine_->commit(), "commit");
    }
    must(machine_->commit(), "commit");
    executor_.poll();
    apply_s_ += seconds_now() - begun;
    return refused;
}

services::AppsModel Store::load() {
    storage::state::StateReader reader({directory_ + "/state", *vfs_, machine_->generation()});
    auto view = must(reader.view(), "reading");
    auto model = must(services::AppsModel::load(view), "reading");
    watch_ = must(
        hub_.watch(model.revision, {.kinds = services::AppsModel::kinds(), .key_prefix = {}}, [] {}), "feed");
    return model;
}

std::vector<services::ChangedRow> Store::follow(services::AppsModel& model) {
    std::vector<services::ChangedRow> changed;
    while (true) {
        const auto records = must(watch_->take(256), "feed");
        if (records.empty()) return changed;
        for (const auto& record : records) {
            must(model.apply(*record), "feed");
            changed.emplace_back(record->kind, record->key);
        }
    }
}

uint64_t Store::database_bytes() const {
    return std::filesystem::file_size(directory_ + "/state/state.db") +
           std::filesystem::file_size(directory_ + "/state/state.db-wal");
}

}  // namespace smackd::bench
