#include "tests/sim/world.h"

#include <cstdio>
#include <format>

namespace smackd::sim {
namespace {

constexpr size_t kLinesKept = 400;

}  // namespace

uint64_t World::schedule(core::Duration after, core::Callback<void()> callback) {
    const uint64_t id = ++next_id_;
    const int64_t at = (now_ + after).since_start.count();
    times_[id] = at;
    queue_.emplace(std::pair(at, id), std::move(callback));
    return id;
}

void World::cancel(uint64_t id) {
    const auto found = times_.find(id);
    if (found == times_.end()) return;
    queue_.erase({found->second, id});
    times_.erase(found);
}

bool World::run_one() {
    if (queue_.empty()) return false;
    const auto first = queue_.begin();
    now_ = core::Instant{core::Duration{first->first.first}};
    core::Callback<void()> callback = std::move(first->second);
    times_.erase(first->first.second);
    queue_.erase(first);
    ++events_;
    callback();
    return true;
}

void World::trace(std::string line) {
    line = std::format("[{:8.3f}] {}", static_cast<double>(now_.since_start.count()) / 1e9, line);
    if (tracing_) std::fprintf(stderr, "%s\n", line.c_str());
    if (lines_.size() >= 2 * kLinesKept) lines_.erase(lines_.begin(), lines_.begin() + kLinesKept);
    lines_.push_back(std::move(line));
}

void World::violate(std::string what) {
    if (!violation_.empty()) return;
    trace("VIOLATION " + what);
    violation_ = std::move(what);
}

uint64_t Life::schedule(core::Duration after, core::Callback<void()> callback,
                        const std::shared_ptr<Life>& self) {
    return world_.schedule(after, [self, work = std::move(callback)]() mutable {
        if (!self->alive) return;
        if (self->paused_until_ > self->world_.now() || !self->held_.empty()) {
            self->held_.push_back(std::move(work));
            return;
        }
        self->run(work);
    });
}

void Life::run(core::Callback<void()>& work) {
    work();
    if (alive && after_event) after_event();
}

void Life::pause_until(core::Instant until, const std::shared_ptr<Life>& self) {
    paused_until_ = until;
    const core::Duration wait = until > world_.now() ? until - world_.now() : core::Duration{0};
    world_.schedule(wait, [self] { self->release(); });
}

void Life::release() {
    while (alive && paused_until_ <= world_.now() && !held_.empty()) {
        core::Callback<void()> work = std::move(held_.front());
        held_.pop_front();
        run(work);
    }
}

core::TimerId Timers::start(core::Duration after, core::Callback<void()> callback) {
    const core::TimerId id = ++next_;
    // A turn of a loop takes a moment.
    const core::Duration turn = std::max(after, core::Duration{1000});
    (*events_)[id] = life_->schedule(
        turn,
        [id, events = events_, work = std::move(callback)]() mutable {
            if (events->erase(id) != 0) work();
        },
        life_);
    return id;
}

void Timers::cancel(core::TimerId id) {
    const auto found = events_->find(id);
    if (found == events_->end()) return;
    life_->world().cancel(found->second);
    events_->erase(found);
}

core::Duration Executor::delay() {
    const auto limit = static_cast<uint64_t>(static_cast<double>(delay_max_.count()) * slowness_) + 2;
    return core::Duration{static_cast<int64_t>(life_->world().random().below(limit))};
}

void Executor::submit(core::Callback<void()> work, core::Callback<void()> done) {
    World& world = life_->world();
    const core::Instant begin = std::max(free_at_, world.now());
    const core::Duration work_at = begin - world.now() + delay();
    const core::Duration done_at = work_at + delay();
    free_at_ = world.now() + done_at;
    life_->schedule(work_at, std::move(work), life_);
    life_->schedule(done_at + core::Duration{1}, std::move(done), life_);
}

}  // namespace smackd::sim
