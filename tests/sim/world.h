// Virtual time: one queue of events, one seed, and the twins of clock, timers and executor that hang on it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/executor.h"
#include "core/random.h"

namespace smackd::sim {

class World {
 public:
    explicit World(uint64_t seed) : random_(seed) {}

    core::Random& random() { return random_; }
    core::Instant now() const { return now_; }
    int64_t now_ms() const { return now_.since_start / core::milliseconds{1}; }

    /// Runs `callback` `after` from now; events of one instant run in the order they were made.
    uint64_t schedule(core::Duration after, core::Callback<void()> callback);
    void cancel(uint64_t id);
    /// Runs the next event; false when there is none.
    bool run_one();
    uint64_t events() const { return events_; }

    /// Keeps the last lines, and prints each when tracing.
    void trace(std::string line);
    void set_trace(bool on) { tracing_ = on; }
    const std::vector<std::string>& lines() const { return lines_; }

    /// The first violation found ends the lifetime.
    void violate(std::string what);
    const std::string& violation() const { return violation_; }

 private:
    core::SeededRandom random_;
    core::Instant now_;
    uint64_t next_id_ = 0;
    uint64_t events_ = 0;
    std::map<std::pair<int64_t, uint64_t>, core::Callback<void()>> queue_;
    std::unordered_map<uint64_t, int64_t> times_;
    bool tracing_ = false;
    std::vector<std::string> lines_;
    std::string violation_;
};

/// The clocks of one machine: monotonic time goes on over restarts, wall time can be stepped.
class Clock final : public core::Clock {
 public:
    explicit Clock(World& world) : world_(world) {}
    core::Instant now() const override { return world_.now() + core::seconds{100}; }
    core::WallTime wall() const override { return core::WallTime{kStartMs + world_.now_ms() + skew_ms_}; }
    void step(int64_t milliseconds) { skew_ms_ += milliseconds; }

 private:
    static constexpr int64_t kStartMs = 1'700'000'000'000;
    World& world_;
    int64_t skew_ms_ = 0;
};

/// What one life of a process has running; when it dies nothing of it runs any more. While paused, events
/// wait.
class Life {
 public:
    explicit Life(World& world) : world_(world) {}
    bool alive = true;
    core::Callback<void()> after_event;  ///< runs after each event, outside of it

    uint64_t schedule(core::Duration after, core::Callback<void()> callback,
                      const std::shared_ptr<Life>& self);
    /// Until then events wait, in their order.
    void pause_until(core::Instant until, const std::shared_ptr<Life>& self);
    World& world() { return world_; }

 private:
    void run(core::Callback<void()>& work);
    void release();
    World& world_;
    core::Instant paused_until_{};
    std::deque<core::Callback<void()>> held_;
};

class Timers final : public core::Timers {
 public:
    explicit Timers(std::shared_ptr<Life> life) : life_(std::move(life)) {}
    core::TimerId start(core::Duration after, core::Callback<void()> callback) override;
    void cancel(core::TimerId id) override;

 private:
    std::shared_ptr<Life> life_;
    core::TimerId next_ = 0;
    std::shared_ptr<std::unordered_map<core::TimerId, uint64_t>> events_ =
        std::make_shared<std::unordered_map<core::TimerId, uint64_t>>();
};

/// Runs work after a random delay and reports after another; a crash in between loses the report, not the
/// work.
class Executor final : public core::Executor {
 public:
    Executor(std::shared_ptr<Life> life, core::Duration delay_max, const double& slowness)
        : life_(std::move(life)), delay_max_(delay_max), slowness_(slowness) {}
    void submit(core::Callback<void()> work, core::Callback<void()> done) override;

 private:
    core::Duration delay();
    std::shared_ptr<Life> life_;
    core::Duration delay_max_;
    const double& slowness_;
    core::Instant free_at_{};
};

}  // namespace smackd::sim
