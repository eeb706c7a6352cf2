#include "net/worker_pool.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <format>
#include <mutex>
#include <thread>
#include <vector>

namespace smackd::net {

struct WorkerPool::State {
    mutable std::mutex mutex;
    std::condition_variable wake;
    std::deque<core::Callback<void()>> queue;  // guarded by mutex
    bool stopping = false;                     // guarded by mutex
    size_t queue_max = 0;
    std::vector<std::thread> threads;

    void work() {
        for (;;) {
            std::unique_lock lock(mutex);
            wake.wait(lock, [&] { return stopping || !queue.empty(); });
            if (stopping) return;
            core::Callback<void()> job = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            job();
        }
    }
};

WorkerPool::WorkerPool(std::string name, size_t threads, size_t queue_max)
    : state_(std::make_unique<State>()) {
    SMACK_ASSERT(threads > 0);
    state_->queue_max = queue_max;
    for (size_t i = 0; i < threads; ++i) {
        state_->threads.emplace_back([state = state_.get()] { state->work(); });
        std::string thread_name = std::format("{}-{}", name.substr(0, 12), i % 100);
        pthread_setname_np(state_->threads.back().native_handle(), thread_name.c_str());
    }
}

WorkerPool::~WorkerPool() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_all();
    for (std::thread& thread : state_->threads) thread.join();
}

bool WorkerPool::submit(core::Callback<void()> work) {
    {
        std::lock_guard lock(state_->mutex);
        if (state_->queue.size() >= state_->queue_max) return false;
        state_->queue.push_back(std::move(work));
    }
    state_->wake.notify_one();
    return true;
}

size_t WorkerPool::queued() const {
    std::lock_guard lock(state_->mutex);
    return state_->queue.size();
}

}  // namespace smackd::net
