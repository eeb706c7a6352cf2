#include "net/loop.h"

#include <uv.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/assert.h"

namespace smackd::net {

namespace {

// A turn that makes coroutines ready for ever must still let I/O happen.
constexpr size_t kResumesPerTurnMax = 10'000;

struct Posted {
    core::Callback<void()> callback;
    const char* label;
};
struct Timer {
    core::Callback<void()> callback;
    const char* label;
};
using TimerKey = std::pair<uint64_t, core::TimerId>;  // due (uv_hrtime), id

}  // namespace

struct Loop::State {
    explicit State(Loop& loop, std::string called, core::Logger log)
        : owner(loop), name(std::move(called)), logger(std::move(log)) {}

    void wake() { uv_async_send(&async); }
    void run_posted();
    void run_timers();
    void arm();
    void resume_ready();
    void end_turn();
    void account(const char* label, uint64_t took_ns);

    Loop& owner;
    std::string name;
    core::Logger logger;
    uv_loop_t loop{};
    uv_async_t async{};
    uv_timer_t timer{};
    uv_prepare_t prepare{};

    std::mutex mutex;
    std::vector<Posted> posted;  // guarded by mutex
    std::atomic<bool> stopping{false};
    std::atomic<std::thread::id> thread{};

    std::map<TimerKey, Timer> timers;
    std::unordered_map<core::TimerId, uint64_t> due;
    core::TimerId last_timer = 0;
    uint64_t armed_for = 0;  // due of the uv timer, 0: not armed

    std::vector<std::coroutine_handle<>> ready;
    size_t depth = 0;  // of nested Sections

    uint64_t turn_ns = 0;
    uint64_t longest_ns = 0;
    const char* longest = "";
    std::atomic<uint64_t> stalls{0};
};

namespace {

void close_and_wait(uv_loop_t& loop) {
    uv_walk(
        &loop,
        [](uv_handle_t* handle, void*) {
            if (uv_is_closing(handle) != 0) return;
            std::fprintf(stderr, "a %s handle outlived its owner's close()\n",
                         uv_handle_type_name(handle->type));
            SMACK_ASSERT(uv_is_closing(handle) != 0);
        },
        nullptr);
    while (uv_loop_close(&loop) == UV_EBUSY) uv_run(&loop, UV_RUN_ONCE);
}

}  // namespace

Loop::Loop(std::string name, core::Logger logger)
    : state_(std::make_unique<State>(*this, std::move(name), std::move(logger))) {
    // A peer that is gone is an error of the write, not the death of the process. libuv writes without
    // MSG_NOSIGNAL. Whoever starts a program resets it in the child: an ignored signal is inherited.
    std::signal(SIGPIPE, SIG_IGN);
    State& state = *state_;
    SMACK_ASSERT(uv_loop_init(&state.loop) == 0);
    state.loop.data = &state;
    SMACK_ASSERT(uv_async_init(&state.loop, &state.async, [](uv_async_t* handle) {
                     static_cast<State*>(handle->loop->data)->run_posted();
                 }) == 0);
    uv_timer_init(&state.loop, &state.timer);
    uv_prepare_init(&state.loop, &state.prepare);
    uv_prepare_start(&state.prepare,
                     [](uv_prepare_t* handle) { static_cast<State*>(handle->loop->data)->end_turn(); });
    uv_unref(reinterpret_cast<uv_handle_t*>(&state.prepare));
}

Loop::~Loop() {
    State& state = *state_;
    SMACK_ASSERT(state.thread.load() == std::thread::id());
    {
        // What queued callbacks own may close handles as it dies: before the loop is closed.
        std::vector<Posted> posted = std::exchange(state.posted, {});
        std::map<TimerKey, Timer> timers = std::exchange(state.timers, {});
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&state.async), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&state.timer), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&state.prepare), nullptr);
    close_and_wait(state.loop);
}

void Loop::run() {
    state_->thread.store(std::this_thread::get_id());
    state_->wake();  // what was posted or made ready before, and a stop() that came first
    uv_run(&state_->loop, UV_RUN_DEFAULT);
    state_->thread.store(std::thread::id());
}

void Loop::stop() {
    state_->stopping.store(true);
    state_->wake();
}

void Loop::post(core::Callback<void()> callback, const char* label) {
    {
        std::lock_guard lock(state_->mutex);
        state_->posted.push_back(Posted{std::move(callback), label});
    }
    state_->wake();
}

bool Loop::on_thread() const {
    std::thread::id running = state_->thread.load();
    return running == std::thread::id() || running == std::this_thread::get_id();
}

core::TimerId Loop::start(core::Duration after, core::Callback<void()> callback) {
    return start(after, std::move(callback), "timer");
}

core::TimerId Loop::start(core::Duration after, core::Callback<void()> callback, const char* label) {
    SMACK_ASSERT(on_thread());
    State& state = *state_;
    uint64_t due = uv_hrtime() + static_cast<uint64_t>(std::max<int64_t>(after.count(), 0));
    core::TimerId id = ++state.last_timer;
    state.timers.emplace(TimerKey{due, id}, Timer{std::move(callback), label});
    state.due.emplace(id, due);
    state.arm();
    return id;
}

void Loop::cancel(core::TimerId id) {
    SMACK_ASSERT(on_thread());
    auto found = state_->due.find(id);
    if (found == state_->due.end()) return;
    state_->timers.erase(TimerKey{found->second, id});
    state_->due.erase(found);
    // The uv timer stays armed: at worst one turn finds nothing due, which is cheaper than arming again each
    // time.
}

core::Instant Loop::now() const {
    return core::Instant{std::chrono::milliseconds(uv_now(&state_->loop))};
}
const std::string& Loop::name() const {
    return state_->name;
}
uint64_t Loop::stalls() const {
    return state_->stalls.load();
}
uv_loop_s* Loop::raw() {
    return &state_->loop;
}

void Loop::resume_soon(std::coroutine_handle<> waiter) {
    SMACK_ASSERT(on_thread());
    state_->ready.push_back(waiter);
    if (state_->depth == 0) state_->wake();
}

Loop::Section::Section(Loop& loop, const char* label) : loop_(loop), label_(label), began_ns_(0) {
    if (loop_.state_->depth++ == 0) began_ns_ = uv_hrtime();
}

Loop::Section::~Section() {
    State& state = *loop_.state_;
    if (state.depth == 1) {
        state.resume_ready();
        state.account(label_, uv_hrtime() - began_ns_);
    }
    --state.depth;
}

void Loop::State::run_posted() {
    std::vector<Posted> batch;
    {
        std::lock_guard lock(mutex);
        batch.swap(posted);
    }
    for (Posted& entry : batch) {
        Section section(owner, entry.label);
        entry.callback();
    }
    {
        Section resume_what_became_ready_outside(owner, "resume");
    }
    if (stopping.exchange(false)) uv_stop(&loop);
}

void Loop::State::run_timers() {
    armed_for = 0;
    uint64_t now_ns = uv_hrtime();
    core::TimerId newest = last_timer;  // those started by callbacks wait for the next turn
    for (auto it = timers.begin(); it != timers.end() && it->first.first <= now_ns;) {
        if (it->first.second > newest) {
            ++it;
            continue;
        }
        Timer timer_to_run = std::move(it->second);
        due.erase(it->first.second);
        timers.erase(it);
        {
            Section section(owner, timer_to_run.label);
            timer_to_run.callback();
        }
        it = timers.begin();  // the callback may have changed the map
    }
    arm();
}

void Loop::State::arm() {
    if (timers.empty()) return;
    uint64_t earliest = timers.begin()->first.first;
    if (armed_for != 0 && armed_for <= earliest) return;
    armed_for = earliest;
    uint64_t now_ns = uv_hrtime();
    uint64_t wait_ms = earliest <= now_ns ? 0 : (earliest - now_ns + 999'999) / 1'000'000;
    uv_update_time(&loop);
    uv_timer_start(
        &timer, [](uv_timer_t* handle) { static_cast<State*>(handle->loop->data)->run_timers(); }, wait_ms,
        0);
}

void Loop::State::resume_ready() {
    size_t resumed = 0;
    std::vector<std::coroutine_handle<>> batch;
    while (!ready.empty() && resumed < kResumesPerTurnMax) {
        batch.clear();
        batch.swap(ready);
        for (std::coroutine_handle<> waiter : batch) waiter.resume();
        resumed += batch.size();
    }
    if (!ready.empty()) wake();
}

void Loop::State::account(const char* label, uint64_t took_ns) {
    turn_ns += took_ns;
    if (took_ns <= longest_ns) return;
    longest_ns = took_ns;
    longest = label;
}

void Loop::State::end_turn() {
    uint64_t limit = static_cast<uint64_t>(kLoopStall.count());
    if (turn_ns > limit) {
        stalls.fetch_add(1);
        logger.warning("the loop stalled", {{"loop", name},
                                            {"turn_ms", turn_ns / 1'000'000},
                                            {"longest", longest},
                                            {"longest_ms", longest_ns / 1'000'000}});
    }
    turn_ns = longest_ns = 0;
    longest = "";
}

}  // namespace smackd::net
