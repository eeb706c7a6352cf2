#include "net/thread_executor.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace smackd::net {

struct ThreadExecutor::State {
    struct Job {
        core::Callback<void()> work;
        core::Callback<void()> done;
    };
    explicit State(Loop& owner) : loop(owner) {}

    Loop& loop;
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Job> jobs;   // guarded by mutex
    bool stopping = false;  // guarded by mutex
    bool alive = true;      // loop thread only: false once the owner died
    std::thread thread;
};

ThreadExecutor::ThreadExecutor(Loop& loop, std::string name) : state_(std::make_shared<State>(loop)) {
    // The thread holds a plain pointer: the destructor joins it. Posted `done`s share the state, since the
    // loop may run them after this object is gone.
    state_->thread = std::thread([state = state_.get(), keep = std::weak_ptr<State>(state_)] {
        for (;;) {
            std::unique_lock lock(state->mutex);
            state->wake.wait(lock, [&] { return state->stopping || !state->jobs.empty(); });
            if (state->stopping) return;
            State::Job job = std::move(state->jobs.front());
            state->jobs.pop_front();
            lock.unlock();
            job.work();
            job.work = nullptr;  // what it owns dies before `done` may look at it
            state->loop.post(
                [shared = keep.lock(), done = std::move(job.done)]() mutable {
                    if (shared->alive) done();
                },
                "executor");
        }
    });
    pthread_setname_np(state_->thread.native_handle(), name.substr(0, 15).c_str());
}

ThreadExecutor::~ThreadExecutor() {
    state_->alive = false;
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_all();
    state_->thread.join();
}

void ThreadExecutor::submit(core::Callback<void()> work, core::Callback<void()> done) {
    {
        std::lock_guard lock(state_->mutex);
        state_->jobs.push_back(State::Job{std::move(work), std::move(done)});
    }
    state_->wake.notify_one();
}

}  // namespace smackd::net
