#include "storage/raft/applier.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "core/wire/raft.pb.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

/// Runs timers when told to.
class ManualTimers final : public core::Timers {
 public:
    core::TimerId start(core::Duration, core::Callback<void()> callback) override {
        waiting_[++next_] = std::move(callback);
        return next_;
    }
    void cancel(core::TimerId id) override { waiting_.erase(id); }
    void run_all() {
        auto due = std::move(waiting_);
        waiting_.clear();
        for (auto& [id, callback] : due) callback();
    }
    size_t waiting() const { return waiting_.size(); }

 private:
    std::map<core::TimerId, core::Callback<void()>> waiting_;
    core::TimerId next_ = 0;
};

/// Keeps the indexes it was given; refuses as told.
class RecordingFsm final : public Fsm {
 public:
    core::Result<std::vector<core::Bytes>> apply(core::Index index, core::Term,
                                                 const std::vector<core::BytesView>& commands) override {
        if (index.value == refuse_at) {
            staged.clear();
            return core::fail(refuse_with, "refused");
        }
        staged.push_back(index.value);
        return std::vector<core::Bytes>(commands.size(), "ok");
    }
    core::Result<void> commit() override {
        ++commits;
        for (const uint64_t index : staged) kept.push_back(index);
        staged.clear();
        return {};
    }
    core::Index applied() const override { return core::Index{kept.empty() ? start : kept.back()}; }
    uint32_t feature_level_max() const override { return 1; }
    core::Result<SnapshotTask> begin_snapshot() override { return core::fail(core::Errc::kBusy, ""); }
    core::Result<void> install_snapshot(const std::string&) override { return {}; }
    core::Result<void> check_integrity() override { return {}; }

    uint64_t refuse_at = 0;
    core::Errc refuse_with = core::Errc::kDiskFull;
    uint64_t start = 0;
    int commits = 0;
    std::vector<uint64_t> staged, kept;
};

struct World : ApplierEvents {
    ManualTimers timers;
    RecordingFsm fsm;
    Applier applier{fsm, timers, *this};
    std::vector<std::string> told;

    void applied(const LogEntry& entry, std::vector<core::Bytes> results) override {
        told.push_back(std::to_string(entry.index.value) + ":" + std::to_string(results.size()));
    }
    void turn_over() override {}
    void apply_refused(core::Index index, const core::Error* error) override {
        told.push_back((error != nullptr ? "refused " : "resumed ") + std::to_string(index.value));
    }
    void push(uint64_t index, int commands) {
        wire::CommandGroup group;
        for (int i = 0; i < commands; ++i) group.add_commands("c");
        group.set_time_ms(static_cast<int64_t>(index * 100));
        applier.push(LogEntry{.index = {index},
                              .term = {1},
                              .type = commands == 0 ? EntryType::kBarrier : EntryType::kCommand,
                              .payload = std::make_shared<const core::Bytes>(group.SerializeAsString())});
    }
    std::vector<std::string> take() { return std::exchange(told, {}); }
};

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("applier: one commit for all entries of a turn, results after it") {
    World world;
    world.push(1, 2);
    world.push(2, 0);
    world.push(3, 1);
    CHECK(world.take().empty());
    world.timers.run_all();
    CHECK(world.take() == Told{"1:2", "2:0", "3:1"});
    CHECK(world.fsm.commits == 1);
    CHECK(world.applier.position().value == 3);
    CHECK(world.applier.time_ms() == 300);
}

TEST_CASE("applier: entries the state holds already are passed over") {
    World world;
    world.fsm.start = 2;
    for (uint64_t index = 1; index <= 3; ++index) world.push(index, 1);
    world.timers.run_all();
    CHECK(world.fsm.kept == std::vector<uint64_t>{3});
    CHECK(world.take() == Told{"1:0", "2:0", "3:1"});
}

TEST_CASE("applier: a refused entry does not keep back those before it, and is tried again") {
    World world;
    world.fsm.refuse_at = 3;
    for (uint64_t index = 1; index <= 4; ++index) world.push(index, 1);
    world.timers.run_all();
    CHECK(world.take().empty());
    world.timers.run_all();
    CHECK(world.take() == Told{"1:1", "2:1"});
    world.timers.run_all();
    CHECK(world.take() == Told{"refused 3"});
    world.timers.run_all();
    CHECK(world.take() == Told{"refused 3"});
    CHECK(world.fsm.kept == std::vector<uint64_t>{1, 2});
    world.fsm.refuse_at = 0;
    world.timers.run_all();
    world.timers.run_all();
    CHECK(world.take() == Told{"resumed 3", "3:1", "4:1"});
    CHECK(world.fsm.kept == std::vector<uint64_t>{1, 2, 3, 4});
}

TEST_CASE("applier: what needs a newer version stops for good before that entry") {
    World world;
    world.fsm.refuse_at = 2;
    world.fsm.refuse_with = core::Errc::kUnsupported;
    world.push(1, 1);
    world.push(2, 1);
    for (int i = 0; i < 4; ++i) world.timers.run_all();
    CHECK(world.take() == Told{"1:1", "refused 2"});
    world.push(3, 1);
    CHECK(world.timers.waiting() == 0);
    CHECK(world.applier.trouble().has_value());
    // A snapshot from beyond it takes it along.
    world.fsm.start = 2;
    world.fsm.kept.clear();
    world.fsm.refuse_at = 0;
    world.applier.restart_behind(core::Index{2});
    world.timers.run_all();
    CHECK(world.take() == Told{"resumed 2", "3:1"});
}
